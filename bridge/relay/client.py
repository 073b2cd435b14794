"""The client of a relay: subscribed for years, or for the length of an `async for`."""

import asyncio
import logging
import random
import ssl as tls
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from bridge.errors import CredentialsRefused, RelayError
from bridge.relay.backoff import STABLE, Backoff, Ending
from bridge.relay.inbox import Inbox
from bridge.relay.protocol import DEFAULT_RELAY_URL, ClientProtocol, Subscribed
from bridge.relay.quarantine import Quarantine
from bridge.relay.resolver import Resolver
from bridge.relay.session import Callbacks, Patience, Session
from bridge.relay.state import RelayCounters, RelayState
from bridge.relay.transport import Endpoint, MalformedMessage
from bridge.secret import Secret
from bridge.webhook import Webhook

__all__ = ["RelayClient", "RelayCounters", "RelayState"]

logger = logging.getLogger(__name__)

MIB: Final = 1024 * 1024
LOUD_CHANGES: Final = 6
"""Changes of state that are logged aloud until the connection was stable for a minute."""


class RelayClient:
    """Webhooks of a relay's buckets, one after the other, across every loss of the connection.

    For a script:

        async with RelayClient(key="…", secret="…", buckets=["doorbell"]) as client:
            async for webhook in client:
                print(webhook.method, webhook.path, webhook.text)

    Iterating raises CredentialsRefused, since a script with wrong credentials waits for nothing. `run`, for a
    daemon, tries again slowly. The relay sends nothing twice: what arrives while no connection is open may
    never come. All methods are for the event loop's thread.

    Args:
        key: the API key.
        secret: its secret.
        buckets: names or IDs; None or empty means every bucket of the account.
        url: the relay's WebSocket; `wss://` certificates are always verified.
        ack: ask the relay to send each webhook again on the next connection, until `accepted` was called for
            it. A self-hosted relay does; others ignore it.
        group: share the webhooks with all clients that name the same group: each goes to one of them. A
            self-hosted relay does; of others, every client gets every webhook, and a warning is logged once.
        max_frame: the largest message taken, in bytes. JSON escapes can make one six times its body.
        ssl: a TLS context of your own, for a private certificate authority.
        open_timeout: seconds for name, TCP, TLS and the handshake together.
        subscribe_timeout: seconds from there to `subscribed`.
        silence_timeout: seconds without a message after which the connection counts as dead.
        ping_interval: seconds between WebSocket pings.
        ping_timeout: seconds to wait for the answer to one.
        close_timeout: seconds for the closing handshake.
        buffer: webhooks that wait for a slow `async for` before the client disconnects until half are taken.
        buffer_bytes: the same in bytes.
        on_state: called with each new state; must not block.
        chance: yields numbers in [0, 1) for the jitter.

    Raises:
        ConfigError: the URL can't be used.
    """

    def __init__(
        self,
        *,
        key: str,
        secret: str | Secret,
        buckets: Sequence[str] | None = None,
        url: str = DEFAULT_RELAY_URL,
        ack: bool = False,
        group: str = "",
        max_frame: int = 16 * MIB,
        ssl: tls.SSLContext | None = None,
        open_timeout: float = 15.0,
        subscribe_timeout: float = 15.0,
        silence_timeout: float = 150.0,
        ping_interval: float = 20.0,
        ping_timeout: float = 20.0,
        close_timeout: float = 2.0,
        buffer: int = 1000,
        buffer_bytes: int = 32 * MIB,
        on_state: Callable[[RelayState], None] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._key = key
        self._secret = secret if isinstance(secret, Secret) else Secret(secret)
        self._buckets = (buckets,) if isinstance(buckets, str) else tuple(buckets or ())
        self._ack = ack
        self._resume = ""
        self._group = group
        self._warned = False
        self._endpoint = Endpoint(url, max_frame, ssl, ping_interval, ping_timeout, close_timeout)
        self._patience = Patience(open_timeout, subscribe_timeout, silence_timeout)
        self._resolver = Resolver()
        self._backoff = Backoff(chance)
        self.quarantine = Quarantine()

        # What it is told to do
        self._held: str | None = None
        self._closed = False
        self._wake = asyncio.Event()

        # What it does
        self._session: Session | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._subscribed = asyncio.Event()
        self._on_state = on_state
        self._name, self._reason, self._since = "connecting", "", time.time()
        self._changes = 0
        self._lost_at: float | None = None
        """Monotonic time at which the outage began that lasts still."""
        self._connects = self._webhooks = self._bytes = self._cut = 0

        # Iteration
        self._inbox = Inbox(buffer, buffer_bytes, self._consumer_is_slow, self.release)
        self._reader: asyncio.Task[None] | None = None

    # The daemon's side

    async def run(self, handler: Callable[[Webhook], None]) -> None:
        """Stay subscribed until `close` or cancellation, whatever happens on the way.

        Args:
            handler: called with each webhook straight from the reader; must not block. An error that it
                raises ends the run.
        """
        await self._run(handler, raise_refused=False)

    def hold(self, reason: str) -> None:
        """Disconnect cleanly and stay away until `release`. What is on its way is still handed over."""
        self._held = reason
        self._interrupt()

    def release(self) -> None:
        """Connect again after `hold`; nothing where it wasn't held."""
        if self._held is not None:
            self._held = None
            self._wake.set()

    def accepted(self, webhook_id: str) -> None:
        """Somebody is responsible for the webhook with this ID: the relay need not send it again.

        An ID that didn't come on this connection is nobody's; nothing happens then, or without `ack`.
        """
        if self._session is not None:
            self._session.accepted(webhook_id)

    def reconnect_now(self) -> None:
        """Make the next attempt at once, where it is waited for."""
        self._wake.set()

    @property
    def state(self) -> RelayState:
        """What the connection is doing now."""
        last = self._session.last_message if self._session is not None else None
        age = None if last is None else time.monotonic() - last
        return RelayState(self._name, self._reason, self._since, self._connects, age, self._backoff.alarm)

    @property
    def counters(self) -> RelayCounters:
        """What came so far."""
        return RelayCounters(self._connects, self._webhooks, self._bytes, self.quarantine.counts, self._cut)

    async def subscribed(self) -> None:
        """Return once the relay confirmed the subscription; at once where it did."""
        await self._subscribed.wait()

    async def close(self) -> None:
        """End it, with a closing handshake; returns when no task and no socket is left."""
        self._closed = True
        self._interrupt()
        await self._idle.wait()
        if self._reader is not None:
            await asyncio.wait([self._reader])

    # A script's side

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Webhook:
        if self._reader is None:
            self._reader = asyncio.create_task(self._run(self._inbox.put, raise_refused=True), name="relay")
            self._reader.add_done_callback(self._reader_ended)
        return await self._inbox.get()

    def _reader_ended(self, reader: asyncio.Task[None]) -> None:
        self._inbox.end(None if reader.cancelled() else reader.exception())

    def _consumer_is_slow(self) -> None:
        self.hold("the consumer is too slow")

    # One connection after the other

    async def _run(self, handler: Callable[[Webhook], None], *, raise_refused: bool) -> None:
        if not self._idle.is_set():
            raise RuntimeError("this client is already running")
        self._idle.clear()
        try:
            while not self._closed:
                self._wake.clear()
                if self._held is None:
                    await self._attempt(handler, raise_refused=raise_refused)
                else:
                    self._become("held", self._held)
                    await self._wake.wait()
        finally:
            self._become("closed")
            self._idle.set()

    async def _attempt(self, handler: Callable[[Webhook], None], *, raise_refused: bool) -> None:
        """One connection, and the wait after it where it failed."""
        if self._name in ("held", "closed"):
            self._become("connecting")
        session = self._session = self._new_session(handler)
        try:
            await session.run()
        except RelayError as error:
            self._note_end(session)
            if raise_refused and isinstance(error, CredentialsRefused):
                raise
            await self._pause(self._note_failure(error))
        else:
            self._note_end(session)
        finally:
            self._session = None

    def _new_session(self, handler: Callable[[Webhook], None]) -> Session:
        def take(webhook: Webhook) -> None:
            self._webhooks += 1
            self._bytes += len(webhook.raw)
            handler(webhook)

        protocol = ClientProtocol(
            self._key,
            self._secret,
            self._buckets,
            ack=self._ack,
            resume=self._resume,
            group=self._group,
        )
        to = Callbacks(self._opened, self._now_subscribed, take, self._bad_frame, self._acknowledged)
        return Session(self._endpoint, self._resolver, protocol, self._patience, to)

    async def _pause(self, delay: float) -> None:
        """Wait for the next attempt; less where something changed since the last one began."""
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()

    def _interrupt(self) -> None:
        self._wake.set()
        if self._session is not None:
            self._session.leave()

    # What a session tells

    def _opened(self) -> None:
        self._connects += 1

    def _now_subscribed(self, to: Subscribed) -> None:
        self._become("subscribed", ascii(", ".join(to.names)[:200])[1:-1])
        if to.group != self._group and not self._warned:
            self._warned = True
            logger.warning("this relay has no groups: each member of %a gets every webhook", self._group)

    def _acknowledged(self, webhook_id: str) -> None:
        self._resume = webhook_id

    def _bad_frame(self, code: str, reason: str, data: str | bytes) -> None:
        self.quarantine.add(code, reason, data, time.monotonic())

    def _note_end(self, session: Session) -> None:
        if session.cut_off:
            self._cut += 1
            self._log(logging.WARNING, "disconnected with more on its way than could be taken in")
        if session.subscribed_at is None:
            return
        seconds = time.monotonic() - session.subscribed_at
        self._backoff.subscribed_for(seconds)
        if seconds >= STABLE:
            self._changes = 0

    def _note_failure(self, error: RelayError) -> float:
        """Take note; the seconds to wait."""
        ending = Ending.LOST
        if isinstance(error, CredentialsRefused):
            ending = Ending.REFUSED
        elif isinstance(error, MalformedMessage):
            ending = Ending.MALFORMED
        alarmed = self._backoff.alarm
        delay = self._backoff.after(ending, error.retry_after)
        if self._backoff.alarm and not alarmed:
            logger.error("the relay keeps sending a message that can't be taken: %s", error)
        self._become("unauthorized" if ending is Ending.REFUSED else "down", str(error))
        logger.debug("the next attempt follows in %.1f s", delay)
        return delay

    def _become(self, name: str, reason: str = "") -> None:
        if (name, reason) == (self._name, self._reason):
            return
        if name != self._name:
            self._since = time.time()
            if name != "connecting":
                self._report(name, reason)
        self._name, self._reason = name, reason
        if name == "subscribed":
            self._subscribed.set()
        else:
            self._subscribed.clear()
        if self._on_state is not None:
            self._on_state(self.state)

    def _report(self, name: str, reason: str) -> None:
        """One line when an outage begins and one, with its duration, when it ends."""
        self._changes += 1
        level = logging.WARNING if name in ("down", "unauthorized") else logging.INFO
        fields: dict[str, object] = {"state": name}
        text = f"{name} ({reason})" if reason else name
        if name in ("down", "unauthorized"):
            self._lost_at = time.monotonic() if self._lost_at is None else self._lost_at
        elif name == "subscribed" and self._lost_at is not None:
            fields["seconds"] = seconds = time.monotonic() - self._lost_at
            text, self._lost_at = f"{text} after {seconds:.1f} s", None
            self._changes = 0 if seconds >= STABLE else self._changes  # that was no flapping
        self._log(level, text, **fields)

    def _log(self, level: int, text: str, **fields: object) -> None:
        """A relay that flaps is soon left alone."""
        level = level if self._changes <= LOUD_CHANGES else logging.DEBUG
        logger.log(level, "relay: %s", text, extra=fields)
