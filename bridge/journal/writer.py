"""The task that commits: it gathers changes on the event loop and has one thread write them.

Nothing here is locked: batches are filled on the loop only, and the thread gets one that nobody fills any
more. What arrives during a commit is the next batch.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import IntEnum
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from bridge.crashpoint import crash_at
from bridge.errors import JournalError, JournalFull
from bridge.journal.batch import Batch
from bridge.journal.keeper import Keeper
from bridge.journal.store import Store, Usage

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Haste(IntEnum):
    """How soon a commit has to start."""

    NONE = 0
    LAZY = 1
    """Notes and deduplication keys: a crash costs a duplicate at most."""
    LATER = 2
    """Removals: best together with the next insertion, for they share its pages."""
    SOON = 3
    """Insertions: to gather them is what spares an SD card."""
    NOW = 4


DELAYS = {Haste.LAZY: 30.0, Haste.LATER: 0.1, Haste.SOON: 0.010}
"""Seconds from such a change to the commit."""
SPACING = 0.050
"""Seconds from commit to commit at least, unless someone waits: fewer and larger ones."""
RETRY_FIRST = 0.5
RETRY_LONGEST = 10.0
"""Seconds between attempts to store on a full disk."""
ROOM = 0.9
"""Part of its limit below which a journal that was full takes more."""


class Writer:
    """Commits batches through the thread that owns the store, and knows whether there is room."""

    def __init__(self, keeper: Keeper, executor: ThreadPoolExecutor, *, max_bytes: int) -> None:
        self.pending = Batch()
        self.flying = Batch()
        """The batch that is being committed."""
        self.haste = Haste.NONE
        self.usage = Usage()
        self.full = ""
        """Why nothing more fits; "" while there is room."""
        self.on_full: Callable[[str], None] | None = None
        self.on_room: Callable[[], None] | None = None
        self.commits = 0
        self._keeper = keeper
        self._executor = executor
        self._max_bytes = max_bytes
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[JournalError] = self._loop.create_future()
        self._begin = asyncio.Event()
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._refusal = ""
        self._retry_delay = RETRY_FIRST
        self._retry: asyncio.TimerHandle | None = None
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="journal writer")
        self._task.add_done_callback(self._ended)

    def hasten(self, haste: Haste) -> None:
        """Has a commit start after the delay of `haste`, which has to be above the present one."""
        self.haste = haste
        if self._timer is not None:
            self._timer.cancel()
        if haste is Haste.NOW:
            self._begin.set()
        else:
            at = max(self._loop.time() + DELAYS[haste], self._began + SPACING)
            self._timer = self._loop.call_at(at, self._begin.set)

    async def flush(self) -> None:
        """Returns once everything so far is durable.

        Raises:
            JournalFull: some of it is not, for want of room.
            JournalError: the journal failed.
        """
        self._raise_if_failed()
        if not (self.pending or self.flying or self.pending.committed):
            return
        done = self._loop.create_future()
        self.pending.waiters.append(done)
        self.hasten(Haste.NOW)
        await done

    async def call(self, work: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Has the thread do something with the store, after all that it was given before.

        Raises:
            JournalFull: there is no room for it.
            JournalError: the journal failed.
        """
        self._raise_if_failed()
        return await self._in_thread(partial(self._keeper.attempt, work, *args, **kwargs))

    async def maintain(self) -> None:
        """Has the thread do what is due now and then."""
        self.weigh(await self._in_thread(self._keeper.maintain))

    def weigh(self, usage: Usage) -> None:
        """Takes in how full the journal is, and tells whoever listens when that makes a difference."""
        self.usage = usage
        limit = self._max_bytes * (ROOM if self.full else 1)
        over = f"the journal holds its limit of {self._max_bytes} bytes" if usage.bytes > limit else ""
        before, self.full = self.full, self._refusal or over
        if self.full and not before:
            _log.warning("the journal takes nothing more: %s", self.full)
            if self.on_full:
                self._loop.call_soon(self.on_full, self.full)
        elif before and not self.full:
            _log.info("the journal has room again")
            if self.on_room:
                self._loop.call_soon(self.on_room)

    async def close(self) -> None:
        """Commits what can be committed, then closes the journal; a second time does nothing."""
        if self._closing:
            return
        try:
            await self.flush()
        except JournalFull as error:
            _log.error("%d deliveries could not be stored: %s", len(self.pending.adds), error)
        except JournalError as error:
            _log.error("closing a failed journal: %s", error)
        self._closing = True
        self.hasten(Haste.NOW)
        await asyncio.wait([self._task])
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        with suppress(JournalError):  # it failed before, or everything is durable
            await self._in_thread(self._keeper.close)
        self._executor.shutdown(wait=False)

    async def _run(self) -> None:
        while not (self._closing or self.failed.done()):
            await self._begin.wait()
            self.flying = self._take()
            await self._commit(self.flying)
            self.flying = Batch()

    def _take(self) -> Batch:
        self._begin.clear()
        self._began = self._loop.time()
        self.haste = Haste.NONE
        if self._timer is not None:
            self._timer.cancel()
        if self._retry is not None:
            return self.pending.take_removals()
        batch, self.pending = self.pending, Batch()
        return batch

    async def _commit(self, batch: Batch) -> None:
        try:
            if self._refusal and self._retry is None:
                await self._in_thread(self._keeper.make_room)
                self._refusal = ""
            usage = await self.call(Store.commit, batch) if batch else self.usage
        except JournalFull as error:
            await self._refused(batch, error)
        except JournalError as error:
            _answer(batch.waiters, error)
        else:
            self._settle(batch, usage)

    def _settle(self, batch: Batch, usage: Usage) -> None:
        crash_at("journal.after-commit")
        self.commits += bool(batch)
        self.weigh(usage)
        for deliveries, committed in batch.committed:
            self._loop.call_soon(committed, deliveries)
        if not self._refusal:
            self._retry_delay = RETRY_FIRST
        held = self._refusal and self.pending.grows
        _answer(batch.waiters, JournalFull(self._refusal) if held else None)

    async def _refused(self, batch: Batch, error: JournalFull) -> None:
        """Keeps the batch for later; with the ballast's room, its removals get another chance at once."""
        self._refusal = str(error)
        self.pending.put_back(batch)
        await self._in_thread(self._keeper.relieve)
        self.weigh(self.usage)
        relieved = self._retry is None
        if relieved:
            self._retry = self._loop.call_later(self._retry_delay, self._try_again)
            self._retry_delay = min(self._retry_delay * 2, RETRY_LONGEST)
            self.hasten(Haste.NOW)
        if relieved and not batch.grows:
            self.pending.waiters += batch.waiters
        else:
            _answer(batch.waiters, error)

    def _try_again(self) -> None:
        self._retry = None
        self.hasten(Haste.NOW)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await self._loop.run_in_executor(self._executor, work)
        except JournalFull:
            raise
        except JournalError as error:
            self._fail(error)
            raise

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(JournalError(f"the writer ended: {error!r}"))

    def _fail(self, error: JournalError) -> None:
        if not self.failed.done():
            _log.critical("the journal failed: %s", error)
            self.failed.set_result(error)
        _answer(self.flying.waiters + self.pending.waiters, error)
        self._begin.set()

    def _raise_if_failed(self) -> None:
        if self.failed.done():
            raise JournalError(f"the journal failed: {self.failed.result()}")


def _answer(waiters: Iterable["asyncio.Future[None]"], error: JournalError | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)
