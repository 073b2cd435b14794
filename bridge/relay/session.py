"""One connection to a relay, from its opening to its end."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bridge.errors import CredentialsRefused, FrameError, RelayError
from bridge.relay.ledger import Ledger
from bridge.relay.protocol import ClientEvent, ClientProtocol, Ignored, Refused, Send, Subscribed
from bridge.relay.resolver import Resolver
from bridge.relay.transport import Endpoint, connection_ended, open_connection
from bridge.webhook import Webhook

ACKNOWLEDGE_SECONDS: Final = 0.02
"""How long an acknowledgement waits for others to go with it."""
DRAIN_BYTES: Final = 8 * 1024 * 1024
"""Taken in after the goodbye. A relay that goes on sending must not fill the memory it is asked to spare."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each phase of a connection may take, in seconds."""

    open: float
    subscribe: float
    silence: float
    """Longest time without a message. The service sends a ping more often than every minute."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Whom a session tells what; none may block."""

    opened: Callable[[], None]
    subscribed: Callable[[Subscribed], None]
    webhook: Callable[[Webhook], None]
    bad_frame: Callable[[str, str, str | bytes], None]
    """A code, a reason and the frame."""
    acknowledged: Callable[[str], None]
    """ID of the last webhook that the relay need not send again."""


class Session:
    """One connection: it opens, subscribes, hands over webhooks, and ends."""

    def __init__(
        self,
        endpoint: Endpoint,
        resolver: Resolver,
        protocol: ClientProtocol,
        patience: Patience,
        to: Callbacks,
    ) -> None:
        self._endpoint = endpoint
        self._resolver = resolver
        self._protocol = protocol
        self._patience = patience
        self._to = to
        self._limit: asyncio.Timeout | None = None
        self._leaving = False
        self._rearm_at = math.inf
        self._ledger: Ledger | None = None
        self._to_acknowledge = ""
        self._may_acknowledge = asyncio.Event()
        self.subscribed_at: float | None = None
        """Monotonic time."""
        self.last_message: float | None = None
        """Monotonic time."""
        self.cut_off = False
        """More came after the goodbye than is taken in then: the rest is lost to this connection."""

    def leave(self) -> None:
        """End soon: at once while it opens, with a closing handshake later."""
        self._leaving = True
        self._limit_to(0.0)

    def accepted(self, webhook_id: str) -> None:
        """Acknowledge a webhook soon, where the relay waits for that and nothing before it is open."""
        if self._ledger is not None and (last := self._ledger.accepted(webhook_id)):
            self._to_acknowledge = last
            self._may_acknowledge.set()

    async def run(self) -> None:
        """Live from beginning to end; returns only after `leave`.

        Raises:
            RelayError: it ended otherwise.
            CredentialsRefused: the relay doesn't know them.
        """
        connection = await self._open()
        if connection is None:
            return
        try:
            await self._converse(connection)
        except ConnectionClosed as error:
            if not self._leaving:
                raise connection_ended(error) from None
        finally:
            try:
                await connection.close()
            finally:
                connection.transport.abort()

    async def _open(self) -> ClientConnection | None:
        try:
            async with self._within(self._patience.open) as self._limit:
                return await open_connection(self._endpoint, self._resolver)
        except TimeoutError:
            if self._leaving:
                return None
            raise RelayError(f"no connection within {self._patience.open:g} s") from None
        finally:
            self._limit = None

    async def _converse(self, connection: ClientConnection) -> None:
        """Talk until the relay ends it, falls silent, or we leave."""
        self._to.opened()
        acknowledging = asyncio.create_task(self._acknowledge(connection), name="relay acknowledgements")
        try:
            await self._listen(connection)
            await self._drain(connection)
        finally:
            acknowledging.cancel()
            await asyncio.wait([acknowledging])

    async def _listen(self, connection: ClientConnection) -> None:
        try:
            async with self._within(self._patience.subscribe) as self._limit:
                await connection.send(self._protocol.opened())
                await self._read(connection)
        except TimeoutError:
            if not self._leaving:
                raise self._too_slow() from None
        finally:
            self._limit = None

    async def _acknowledge(self, connection: ClientConnection) -> None:
        """Tell the relay what it need not send again: the last of each burst stands for all of it."""
        with suppress(ConnectionClosed):  # the reader says why
            while True:
                await self._may_acknowledge.wait()
                await asyncio.sleep(ACKNOWLEDGE_SECONDS)
                self._may_acknowledge.clear()
                last = self._to_acknowledge
                await connection.send(self._protocol.acknowledge(last))
                self._to.acknowledged(last)

    async def _drain(self, connection: ClientConnection) -> None:
        """Say goodbye, and take in what was on its way, within a limit: nobody would send it again."""
        closing = asyncio.create_task(connection.close())
        left = DRAIN_BYTES
        try:
            with suppress(ConnectionClosed):
                while left > 0:
                    data = await connection.recv()
                    self._take(data)
                    left -= len(data)
                self.cut_off = True
                connection.transport.abort()
        finally:
            await closing

    async def _read(self, connection: ClientConnection) -> None:
        """Take in messages until we leave or the connection or time is over: the path of every webhook."""
        while not self._leaving:
            event = self._take(await connection.recv())
            if event is not None:
                await self._react(event, connection)

    def _take(self, data: str | bytes) -> ClientEvent | None:
        """Hand over what it is for; what is left is for the conversation."""
        self._heard()
        try:
            event = self._protocol.receive(data, time.time())
        except FrameError as error:
            self._to.bad_frame(error.code, str(error), data)
            return None
        if isinstance(event, Webhook):
            if self._ledger is not None:
                self._ledger.received(event.id)
            self._to.webhook(event)
            return None
        if isinstance(event, Ignored):
            self._to.bad_frame("ignored", event.reason, data)
            return None
        return event

    async def _react(self, event: ClientEvent, connection: ClientConnection) -> None:
        match event:
            case Send(text):
                await connection.send(text)
            case Refused(message):
                raise CredentialsRefused(f"the relay refused the credentials: {message[:200]!a}")
            case Subscribed():
                self.subscribed_at = self.last_message
                self._ledger = Ledger() if event.explicit else None
                self._rearm_at = 0.0
                self._heard()
                self._to.subscribed(event)

    def _heard(self) -> None:
        now = self.last_message = time.monotonic()
        if now >= self._rearm_at and not self._leaving:
            # Moving the limit costs more than reading a frame: it is moved now and then, by a tenth too far.
            self._rearm_at = now + self._patience.silence / 10
            self._limit_to(asyncio.get_running_loop().time() + self._patience.silence * 1.1)

    def _within(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(0.0 if self._leaving else seconds)

    def _limit_to(self, when: float) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(when)

    def _too_slow(self) -> RelayError:
        if self.subscribed_at is None:
            return RelayError(f"not subscribed within {self._patience.subscribe:g} s")
        return RelayError(f"no message for {self._patience.silence:g} s")
