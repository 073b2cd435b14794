"""Sends answers to the relay, which passes them on to the senders that wait.

A bounded number at a time, each within the time for which its sender waits and not a moment longer.
"""

import asyncio
import logging
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.config.model import RelaySettings
from bridge.errors import CredentialsRefused, RelayError
from bridge.message import Answer

if TYPE_CHECKING:  # it brings an HTTP client, and not every bridge answers
    from bridge.relay.rest import RelayRest

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
MOST_QUEUED: Final = 256
FIRST_PAUSE: Final = 0.1
"""Seconds before the second attempt; doubled for each further one."""
QUIET: Final = 300.0
"""Seconds after a line in the log until the next one."""
LARGEST_RECEIPT: Final = 64 * 1024
"""Bytes that the relay may say to an answer."""


@dataclass(slots=True)
class ReplyCounts:
    """What became of replies since the process started."""

    sent: int = 0
    """Taken by the relay."""
    fallbacks: int = 0
    """Of all answers: the target did not answer in time, so the route's own one was given."""
    late: int = 0
    """Not sent: the sender doesn't wait any more."""
    failed: int = 0
    """Not sent: the relay refused it, the route's answer could not be rendered, or there were too many."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One answer on its way."""

    log_id: str
    bucket_id: str
    answer: Answer
    deadline: float
    """Monotonic time until which the sender waits."""


class Responder:
    """Sends to one relay. Everything runs on the event loop's thread.

    Args:
        relay: whose REST interface takes the answers.
        counts: of all replies.
        complaints: where trouble is told.
    """

    def __init__(self, relay: RelaySettings, counts: ReplyCounts, complaints: "Complaints") -> None:
        self._relay = relay
        self._counts = counts
        self._complaints = complaints
        self._loop = asyncio.get_running_loop()
        self._open = AsyncExitStack()
        self._rest: RelayRest | None = None
        self._queue: deque[Outgoing] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, outgoing: Outgoing) -> None:
        """Send one answer in the background."""
        if len(self._queue) >= MOST_QUEUED:
            self._failed(f"{MOST_QUEUED} others wait to be sent")
            return
        self._queue.append(outgoing)
        if len(self._tasks) < AT_ONCE:
            task = asyncio.create_task(self._work(), name="reply")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def close(self, seconds: float) -> None:
        """Let what is queued be sent for at most `seconds`, and close the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        self._counts.failed += len(self._queue) + len(left)
        self._queue.clear()
        await self._open.aclose()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task ends when the queue is empty; anything else is a bug that must not pass unseen."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("sending replies broke", exc_info=error)

    async def _work(self) -> None:
        while self._queue:
            await self._deliver(self._queue.popleft())

    async def _deliver(self, one: Outgoing) -> None:
        pause, trouble = FIRST_PAUSE, "its sender doesn't wait any more"
        while (left := one.deadline - self._loop.time()) > 0:
            try:
                rest = await self._client()
                await rest.respond(one.log_id, one.bucket_id, one.answer, timeout=left)
            except RelayError as error:
                trouble = str(error)
                if not error.retry or isinstance(error, CredentialsRefused):
                    self._failed(trouble)
                    return
                left = max(0.0, one.deadline - self._loop.time())
                await asyncio.sleep(min(max(pause, error.retry_after or 0.0), left))
                pause *= 2
            else:
                self._counts.sent += 1
                return
        self._counts.late += 1
        self._complaints.note(trouble)

    def _failed(self, reason: str) -> None:
        self._counts.failed += 1
        self._complaints.note(reason)

    async def _client(self) -> "RelayRest":
        if self._rest is None:
            from bridge.relay.rest import RelayRest  # noqa: PLC0415  # heavy, and not every bridge answers

            relay = self._relay
            rest = RelayRest(relay.url, relay.key, relay.secret, max_answer=LARGEST_RECEIPT)
            self._rest = await self._open.enter_async_context(rest)
        return self._rest


class Complaints:
    """Replies that could not be given, in the log: a line now and then, as anyone can cause them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._quiet_until = 0.0
        self._untold = 0

    def note(self, reason: str) -> None:
        """One more; the reason holds no secret and no control character."""
        self._untold += 1
        if self._loop.time() < self._quiet_until:
            return
        log.warning("%d reply(s) could not be given; the last one: %s", self._untold, reason)
        self._untold, self._quiet_until = 0, self._loop.time() + QUIET
