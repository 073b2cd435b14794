"""Pulling from consumers: one subscription for all pull requests of a process, and no task for any."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error

from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.connection import translated

logger = logging.getLogger(__name__)

ACK: Final = b"+ACK"
NAK: Final = b"-NAK"
WORKING: Final = b"+WPI"
EXPIRES: Final = 30.0
"""Seconds after which NATS ends a pull request; then comes the next one."""
PATIENCE: Final = 5.0
_DONE: Final = frozenset({"404", "408"})
"""Statuses after which the next request makes sense at once."""
_FULL: Final = frozenset({"Batch Completed", "Message Size Exceeds MaxBytes"})
_GONE: Final = frozenset({"Consumer Deleted", "Consumer not found"})


class Sender:
    """Publishes without making anybody wait, in order. What gets lost with the connection is lost."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queue: asyncio.Queue[tuple[str, bytes, str]] = asyncio.Queue()
        self._task = asyncio.create_task(self._run(), name="nats sender")

    def send(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Publish soon."""
        self._queue.put_nowait((subject, payload, reply))

    async def close(self) -> None:
        """Publish what is left, as far as that can be done now."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._queue.join()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            subject, payload, reply = await self._queue.get()
            try:
                if self._client.is_connected:  # else it would come later, when nobody wants it
                    await self._client.publish(subject, payload, reply)
            except Error as error:
                logger.debug("not published: %s", error)
            finally:
                self._queue.task_done()


class Inbox:
    """Where the answers to the pull requests of this process come in.

    JetStream sends a message under its own subject, so only the consumer's name tells whom it is for. That
    will do as long as nobody else pulls from the consumer; others need a subscription of their own.
    """

    def __init__(self, client: Client, sender: Sender) -> None:
        self.sender: Final = sender
        self._client = client
        self._prefix = client.new_inbox()
        self._takers: dict[str, Callable[[Msg], None]] = {}
        """By the name of their consumer."""

    @property
    def is_connected(self) -> bool:
        """Whether anything can come."""
        return self._client.is_connected

    async def open(self) -> None:
        """Listen."""
        await self._client.subscribe(f"{self._prefix}.*", cb=self._got)

    def add(self, consumer: str, taker: Callable[[Msg], None]) -> str:
        """A subject for what a consumer sends that nobody else pulls from."""
        self._takers[consumer] = taker
        return f"{self._prefix}.{consumer}"

    def remove(self, consumer: str) -> None:
        """Take nothing of it any more."""
        self._takers.pop(consumer, None)

    async def subscribe(self, taker: Callable[[Msg], None]) -> Subscription:
        """A subscription of its own."""

        async def got(message: Msg) -> None:
            taker(message)

        with translated():
            return await self._client.subscribe(self._client.new_inbox(), cb=got)

    async def _got(self, message: Msg) -> None:
        name = message.metadata.consumer if message.reply else message.subject.rpartition(".")[2]
        taker = self._takers.get(name)
        if taker is not None:
            taker(message)


class Pull:
    """Asks one consumer for messages, as long as there is room for them.

    Args:
        inbox: where the answers come in.
        consumer: its name.
        take: given each message.
        has_room: whether more messages can be taken.
        broken: called when messages may be missing. Nothing is taken then.
        batch: messages that are asked for at once.
        most_bytes: likewise; one message is never larger.
        alone: whether nobody else pulls from the consumer, so that its messages have to be consecutive.
    """

    def __init__(
        self,
        inbox: Inbox,
        consumer: str,
        *,
        take: Callable[[Msg], None],
        has_room: Callable[[], bool],
        broken: Callable[[], None],
        batch: int,
        most_bytes: int,
        alone: bool,
    ) -> None:
        self.consumer: Final = consumer
        self._inbox = inbox
        self._take = take
        self._has_room = has_room
        self._broken = broken
        self._batch = batch
        self._most_bytes = most_bytes
        self._alone = alone
        self._last = 0
        """The consumer's own number of the last message."""
        self._outstanding = 0
        """Messages that were asked for and may still come."""
        self._asked_at = 0.0
        self._subscription: Subscription | None = None
        self._reply = ""

    async def open(self) -> None:
        """Begin.

        Raises:
            EngineUnavailable: not now.
        """
        if self._alone:
            self._reply = self._inbox.add(self.consumer, self._got)
        else:
            self._subscription = await self._inbox.subscribe(self._got)
            self._reply = self._subscription.subject
        self.ask()

    def ask(self) -> None:
        """Ask for more, if that is due."""
        if not self._reply or self._outstanding or not self._has_room():
            return
        self._outstanding, self._asked_at = self._batch, time.monotonic()
        wanted = {"batch": self._batch, "max_bytes": self._most_bytes, "expires": int(EXPIRES * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{names.WEBHOOKS}.{self.consumer}"
        self._inbox.sender.send(subject, json.dumps(wanted).encode(), self._reply)

    def restart(self) -> None:
        """Ask again: what was asked for is not coming."""
        self._outstanding = 0
        self.ask()

    def look_after(self, now: float) -> None:
        """From time to time: notice that no answer came."""
        if self._outstanding and now - self._asked_at > EXPIRES + PATIENCE:
            self._broken()
        self.ask()

    def stop(self) -> None:
        """Take nothing any more."""
        self._inbox.remove(self.consumer)
        # Of a shared one, what is on its way is for somebody else.
        self._take = lambda message: self._inbox.sender.send(message.reply, NAK)
        self._has_room = lambda: False
        self._broken = lambda: None

    async def drain(self) -> None:
        """Of a shared one that is stopped: see that NATS sends nothing any more."""
        if self._subscription is not None:
            with suppress(Error, TimeoutError):
                await self._subscription.drain()  # type: ignore[no-untyped-call]  # nats-py leaves it untyped

    def _got(self, message: Msg) -> None:
        if not message.reply:
            self._heard(message.headers or {})
            return
        number = message.metadata.sequence.consumer
        if self._alone and number != self._last + 1:
            self._broken()
            return
        self._last = number
        self._outstanding -= 1
        self._take(message)
        self.ask()

    def _heard(self, status: dict[str, str]) -> None:
        description = status.get("Description", "")
        if description in _GONE:
            self._broken()
        elif status.get("Status") in _DONE or description in _FULL:
            self._outstanding = 0
            self.ask()
        else:  # asked again when it is looked after
            logger.debug("consumer %s: %s", self.consumer, description)
            self._outstanding = 0
