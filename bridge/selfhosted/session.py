"""One client's conversation on `/v1/socket`: authenticate, subscribe, then frames until it ends."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from bridge.errors import FrameError
from bridge.relay.protocol import (
    AckReceived,
    AuthRequested,
    Refused,
    ServerEvent,
    ServerProtocol,
    SubscribeRequested,
)
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.engine import Delivery, EngineUnavailable, Subscription
from bridge.selfhosted.gate import Gate, GateBusy, TooManyAttempts
from bridge.selfhosted.hashes import HashesUnavailable
from bridge.selfhosted.history import Frame
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import KIB, Bucket, Limits, Token
from bridge.selfhosted.subscriber import Subscriber

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


@dataclass(frozen=True, slots=True)
class House:
    """What all conversations of a relay share."""

    registry: Registry
    gate: Gate
    delivery: Delivery
    limits: Limits
    counters: Counters


class Session:
    """The server's side of one connection."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        writer: AbstractStreamWriter,
        house: House,
    ) -> None:
        self.subscriber: Subscriber | None = None
        """None until the client has subscribed."""
        self.wanted: SubscribeRequested | None = None
        """What it subscribed to."""
        self.subscribed_at = 0.0
        """Unix time in seconds."""
        self._request = request
        self._socket = socket
        self._writer = writer
        self._registry = house.registry
        self._gate = house.gate
        self._limits = house.limits
        self._delivery = house.delivery
        self._counters = house.counters
        self._protocol = ServerProtocol()
        self._wake = asyncio.Event()
        self._told: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        # The WebSocket ping that waits for its answer: how many frames it asks about and the position of the
        # last one, and since when.
        self._asked: tuple[int, int] | None = None
        self._asked_at = time.monotonic()

    @property
    def address(self) -> str:
        """Where the client is."""
        return self._request.remote or ""

    @property
    def client_version(self) -> str:
        """How it calls itself."""
        return self._request.headers.get("User-Agent", "")[:200]

    def end(self, code: int, reason: str) -> None:
        """Have the conversation end soon; the first reason counts."""
        if not self._told.done():
            self._told.set_result(Ending(code, reason))

    def reconcile(self) -> None:
        """Resources changed: who would get other buckets now has to connect anew. Nothing is lost by that."""
        if self.subscriber is None or self.wanted is None:
            return
        token = self._registry.catalog.token(self.subscriber.token.key)
        if token is None or not token.active:
            self.end(WSCloseCode.POLICY_VIOLATION, "unauthorized")
        elif {one.id for one in self.buckets(token, self.wanted)} != self.subscriber.buckets:
            self.end(WSCloseCode.SERVICE_RESTART, "the buckets changed")

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
                self._delivery.unsubscribe(self.subscriber)
        await self._close(ending)

    async def _until_told(self) -> None:
        raise await self._told

    async def _converse(self, tasks: asyncio.TaskGroup) -> None:
        try:
            async with asyncio.timeout(self._limits.handshake):
                token = await self._authenticate()
                wanted = await self._subscription()
                # Whoever is told to be subscribed misses nothing from then on.
                self.subscriber = await self._subscribe(token, self.buckets(token, wanted), wanted)
                self.wanted, self.subscribed_at = wanted, time.time()
                await self._confirm_subscription(token, wanted)
        except TimeoutError:
            raise Ending(WSCloseCode.POLICY_VIOLATION, "too slow to subscribe") from None
        except TooManyAttempts as error:
            logger.debug("%s can't be let in: %s", self._request.remote, error)
            raise Ending(WSCloseCode.TRY_AGAIN_LATER, str(error)) from None
        except (GateBusy, HashesUnavailable) as error:
            logger.warning("%s can't be let in: %s", self._request.remote, error)
            raise Ending(WSCloseCode.TRY_AGAIN_LATER, "try again later") from None
        except FrameError as error:
            self._counters.malformed += 1
            raise Ending(WSCloseCode.POLICY_VIOLATION, f"malformed: {error.code}") from None
        self.reconcile()  # it may have taken a moment
        self._wake.set()
        logger.info("%s subscribed with the key %a", self._request.remote, token.key)
        tasks.create_task(self._write(self.subscriber))
        tasks.create_task(self._tend(self.subscriber))
        await self._listen(self.subscriber)

    async def _subscribe(
        self, token: Token, buckets: Iterable[Bucket], wanted: SubscribeRequested
    ) -> Subscriber:
        subscription = Subscription(
            token,
            [one.id for one in buckets],
            wake=self._wake.set,
            cut=lambda why: self.end(WSCloseCode.TRY_AGAIN_LATER, why),
            explicit=wanted.explicit,
            resume=wanted.resume,
            exact=wanted.exact,
            group=wanted.group,
        )
        try:
            return await self._delivery.subscribe(subscription)
        except EngineUnavailable as error:
            logger.warning("%s can't be served: %s", self._request.remote, error)
            raise Ending(WSCloseCode.TRY_AGAIN_LATER, "try again later") from None

    # The handshake

    async def _authenticate(self) -> Token:
        while True:
            event = await self._receive()
            match event:
                case AuthRequested():
                    token = await self._gate.admit(event.key, event.secret, self.address)
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

    async def _subscription(self) -> SubscribeRequested:
        while True:
            event = await self._receive()
            if isinstance(event, SubscribeRequested):
                return event

    async def _confirm_subscription(self, token: Token, wanted: SubscribeRequested) -> None:
        asked = wanted.buckets
        buckets = self.buckets(token, wanted)
        if asked is None:
            names: Iterable[str] = [one.name for one in buckets]
        else:
            known = {word for one in buckets for word in (one.name, one.id)}
            # As the service does, they are called what the client called them.
            names = dict.fromkeys(word for word in asked if word in known)
            self._tell_unknown([word for word in asked if word not in known])
        await self._socket.send_str(self._protocol.subscribed(list(names), wanted))

    def buckets(self, token: Token, wanted: SubscribeRequested) -> list[Bucket]:
        """The buckets that a subscription is for, as things are now."""
        asked = wanted.buckets
        visible = self._registry.catalog.visible(token)
        return [one for one in visible if asked is None or one.name in asked or one.id in asked]

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
                if isinstance(event, AckReceived) and subscriber.explicit:
                    subscriber.acknowledge(event.id)
                else:
                    logger.debug("%a from the key %a", event, subscriber.token.key)
            except FrameError as error:
                self._counters.malformed += 1
                logger.debug("malformed message from the key %a: %a", subscriber.token.key, str(error))

    async def _write(self, subscriber: Subscriber) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := subscriber.take(_BATCH):
                self._put(_joined(batch, exact=subscriber.exact))
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
        elif self._has_news(subscriber) or silent_for >= self._limits.heartbeat:
            self._asked, self._asked_at = (subscriber.handed, subscriber.written), now
            await self._socket.ping(b"%d" % subscriber.handed)

    @staticmethod
    def _has_news(subscriber: Subscriber) -> bool:
        return not subscriber.explicit and subscriber.handed > subscriber.settled

    def _answered(self, payload: bytes) -> None:
        if self.subscriber is not None and self._asked is not None and payload == b"%d" % self._asked[0]:
            if self._has_news(self.subscriber):
                self.subscriber.received(*self._asked)
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
            self._put(_joined(batch, exact=self.subscriber.exact))
            self._counters.delivered += len(batch)


def _joined(frames: Iterable[Frame], *, exact: bool) -> bytes:
    return b"".join([(exact and one.exact) or one.wire for one in frames])
