"""One client's conversation on `/v1/socket`: authenticate, subscribe, then frames until it ends."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from bridge.errors import FrameError
from bridge.relay.protocol import (
    AuthRequested,
    Refused,
    ServerEvent,
    ServerProtocol,
    SubscribeRequested,
)
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.hub import Hub, Subscriber
from bridge.selfhosted.resources import KIB, Bucket, Limits, Settings, Token

logger = logging.getLogger(__name__)

_BATCH: Final = 64 * KIB
_GONE: Final = "the client is gone"


class Ending(Exception):
    """The conversation is over.

    Attributes:
        code: of the WebSocket close frame; None where nobody is there to read it.
        reason: shown to the client, and in the log.
    """

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Session:
    """The server's side of one connection."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        writer: AbstractStreamWriter,
        *,
        settings: Settings,
        hub: Hub,
        counters: Counters,
    ) -> None:
        self.subscriber: Subscriber | None = None
        """None until the client has subscribed."""
        self._request = request
        self._socket = socket
        self._writer = writer
        self._settings = settings
        self._limits: Limits = settings.limits
        self._hub = hub
        self._counters = counters
        self._protocol = ServerProtocol()
        self._wake = asyncio.Event()
        self._told: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        # The WebSocket ping that waits for its answer: what it asks about, and since when.
        self._asked: int | None = None
        self._asked_at = time.monotonic()

    def end(self, code: int, reason: str) -> None:
        """Have the conversation end soon; the first reason counts."""
        if not self._told.done():
            self._told.set_result(Ending(code, reason))

    async def run(self) -> None:
        """Hold the conversation. Returns when the connection is closed."""
        ending = Ending(None, _GONE)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._until_told())
                await self._converse(tasks)
        except* Ending as group:
            ending = next(one for one in group.exceptions if isinstance(one, Ending))
        except* ConnectionError:
            logger.debug("connection of %s lost", self._request.remote)
        finally:
            if self.subscriber is not None:
                self._hub.unsubscribe(self.subscriber)
        await self._close(ending)

    async def _until_told(self) -> None:
        raise await self._told

    async def _converse(self, tasks: asyncio.TaskGroup) -> None:
        try:
            async with asyncio.timeout(self._limits.handshake):
                token = await self._authenticate()
                buckets = await self._subscription()
        except TimeoutError:
            raise Ending(WSCloseCode.POLICY_VIOLATION, "too slow to subscribe") from None
        except FrameError as error:
            self._counters.malformed += 1
            raise Ending(WSCloseCode.POLICY_VIOLATION, f"malformed: {error.code}") from None
        self.subscriber = self._hub.subscribe(
            token,
            [one.id for one in buckets],
            wake=self._wake.set,
            cut=lambda: self.end(WSCloseCode.TRY_AGAIN_LATER, "too slow"),
        )
        self._wake.set()
        logger.info("%s subscribed with the key %a", self._request.remote, token.key)
        tasks.create_task(self._write(self.subscriber))
        tasks.create_task(self._tend(self.subscriber))
        await self._listen(self.subscriber)

    # The handshake

    async def _authenticate(self) -> Token:
        while True:
            event = await self._receive()
            match event:
                case AuthRequested():
                    token = _token_of(self._settings.tokens, event)
                    if token is None:
                        self._counters.refused += 1
                        await self._refuse("wrong key or secret")
                    else:
                        await self._socket.send_str(self._protocol.authenticated())
                        return token
                case Refused(message):
                    await self._refuse(message)
                case _:
                    pass

    async def _refuse(self, message: str) -> None:
        logger.debug("%s refused: %s", self._request.remote, message)
        await self._socket.send_str(self._protocol.refused(message))
        raise Ending(WSCloseCode.POLICY_VIOLATION, "unauthorized")

    async def _subscription(self) -> list[Bucket]:
        event: ServerEvent | None = None
        while not isinstance(event, SubscribeRequested):
            event = await self._receive()
        asked = event.buckets
        if asked is None:
            buckets = list(self._settings.buckets)
            names: Iterable[str] = [one.name for one in buckets]
        else:
            buckets = [one for one in self._settings.buckets if one.name in asked or one.id in asked]
            known = {word for one in buckets for word in (one.name, one.id)}
            # As the service does, they are called what the client called them.
            names = dict.fromkeys(word for word in asked if word in known)
            self._tell_unknown([word for word in asked if word not in known])
        await self._socket.send_str(self._protocol.subscribed(list(names)))
        return buckets

    def _tell_unknown(self, words: Sequence[str]) -> None:
        if words:
            shown = ", ".join(ascii(word[:100]) for word in words[:10])
            logger.warning("%s asks for %d unknown buckets: %s", self._request.remote, len(words), shown)

    async def _receive(self) -> ServerEvent:
        """The next message that means something to the protocol.

        Raises:
            FrameError: it is malformed.
            Ending: there is none.
        """
        while True:
            message = await self._socket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    return self._protocol.receive(message.data)
                case WSMsgType.PING:
                    await self._socket.pong(message.data)
                case WSMsgType.PONG:
                    self._answered(message.data)
                case _:
                    raise Ending(None, _GONE)

    # Subscribed

    async def _listen(self, subscriber: Subscriber) -> None:
        """Read on: for pongs, and to see the end. Whoever is let in may also say what we don't understand."""
        while True:
            try:
                event = await self._receive()
                logger.debug("%a from the key %a", event, subscriber.token.key)
            except FrameError as error:
                self._counters.malformed += 1
                logger.debug("malformed message from the key %a: %a", subscriber.token.key, str(error))

    async def _write(self, subscriber: Subscriber) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := subscriber.take(_BATCH):
                self._put(b"".join([frame.wire for frame in batch]))
                self._counters.delivered += len(batch)
                await self._writer.drain()

    def _put(self, wire: bytes) -> None:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise Ending(None, _GONE)
        transport.write(wire)

    async def _tend(self, subscriber: Subscriber) -> None:
        """Ask the client whether it is there and what it received; keep its own watchdog quiet."""
        greeted_at = time.monotonic()
        while True:
            await asyncio.sleep(min(self._limits.confirm, self._limits.json_ping))
            now = time.monotonic()
            if now - greeted_at >= self._limits.json_ping:
                greeted_at = now
                await self._socket.send_str(self._protocol.ping())
            await self._confirm(subscriber, now)

    async def _confirm(self, subscriber: Subscriber, now: float) -> None:
        silent_for = now - self._asked_at
        if self._asked is not None:
            if silent_for >= self._limits.pong:
                raise Ending(None, "no answer to a ping")
        elif subscriber.written > subscriber.confirmed or silent_for >= self._limits.heartbeat:
            self._asked, self._asked_at = subscriber.written, now
            await self._socket.ping(b"%d" % self._asked)

    def _answered(self, payload: bytes) -> None:
        if self.subscriber is not None and self._asked is not None and payload == b"%d" % self._asked:
            self.subscriber.confirmed = self._asked
            self._asked = None

    # The end

    async def _close(self, ending: Ending) -> None:
        level = logging.DEBUG if self.subscriber is None else logging.INFO
        logger.log(level, "%s is not subscribed any more: %s", self._request.remote, ending.reason)
        try:
            if ending.code is not None:
                async with asyncio.timeout(self._limits.close):
                    if ending.code == WSCloseCode.GOING_AWAY:
                        self._flush()
                    # The client's own close frame tells that all was sent. To drain would fail where
                    # `_write` was cancelled draining: aiohttp has one future for both.
                    reason = ending.reason.encode()
                    await self._socket.close(code=ending.code, message=reason, drain=False)
        except (TimeoutError, ConnectionError, Ending):
            logger.debug("%s did not take leave", self._request.remote)
        finally:
            # A client that reads nothing would otherwise hold the connection and its buffers.
            if self._request.transport is not None:
                self._request.transport.abort()

    def _flush(self) -> None:
        """When the relay stops, what waits is written as far as the client takes it: nobody keeps it."""
        while self.subscriber is not None and (batch := self.subscriber.take(_BATCH)):
            self._put(b"".join([frame.wire for frame in batch]))
            self._counters.delivered += len(batch)


def _token_of(tokens: Iterable[Token], request: AuthRequested) -> Token | None:
    """The token that these credentials belong to; every token is looked at, whichever fits."""
    return next(iter([one for one in tokens if one.admits(request.key, request.secret)]), None)
