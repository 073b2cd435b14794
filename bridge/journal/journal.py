"""The journal as the event loop sees it: what is not delivered yet, durable, and nothing that blocks."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import JournalError
from bridge.journal.batch import Burial, Committed
from bridge.journal.clock import Clock
from bridge.journal.dedupe import RecentKeys
from bridge.journal.keeper import Keeper
from bridge.journal.reading import Reading
from bridge.journal.store import Store, Tally
from bridge.journal.writer import ROOM, Haste, Writer
from bridge.message import Delivery

MAINTENANCE = 60.0
"""Seconds."""
MOST_REMOVALS = 64
"""Removals that wait for company; a crash repeats about as many deliveries at most."""


@dataclass(frozen=True, slots=True)
class JournalState:
    """The journal for status and metrics."""

    bytes: int
    max_bytes: int
    full: str
    """Why nothing more fits; "" while there is room."""
    dead: int
    dead_bytes: int
    commits: int
    cancelled: int
    """Deliveries that were done before they had to be written."""
    corrupt: int
    """Rows whose checksum was wrong."""
    evicted_dead: int
    """Dead letters that were too old or too many."""


class Journal(Reading):
    """Deliveries that are owed, dead letters and a few notes. Used from the event loop that opened it.

    A delivery that is added and removed before the next commit is never written.
    """

    def __init__(
        self, writer: Writer, *, clock: Clock, recent: RecentKeys, tally: Tally, max_bytes: int
    ) -> None:
        """For `open`."""
        super().__init__(writer)
        self._clock = clock
        self._recent = recent
        self._tally = tally
        self._max_bytes = max_bytes
        self._cancelled = 0
        self._maintenance = asyncio.create_task(self._maintain(), name="journal maintenance")

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        max_bytes: int,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> "Journal":
        """Opens or creates the journal; what a crash or a worn card left of it is saved.

        Raises:
            JournalBusy: another instance has it.
            JournalNewer: a newer version wrote it; it is left as it is.
            JournalError: it can't be used.
        """
        tally = Tally()
        keeper = Keeper(path, max_bytes=max_bytes, wall=wall, monotonic=monotonic, tally=tally)
        executor = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            clock = await asyncio.get_running_loop().run_in_executor(executor, keeper.open)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        writer = Writer(keeper, executor, max_bytes=max_bytes)
        try:
            recent = RecentKeys(await writer.call(Store.digests), monotonic=monotonic)
            writer.weigh(await writer.call(Store.usage))
        except BaseException:
            await writer.close()
            raise
        return cls(writer, clock=clock, recent=recent, tally=tally, max_bytes=max_bytes)

    # Deliveries

    def add(self, deliveries: Sequence[Delivery], committed: Committed | None = None) -> None:
        """Queues deliveries to be stored.

        Args:
            deliveries: those that were added before are left alone.
            committed: called with them once each is durable or was removed meanwhile.
        """
        writer = self._writer
        adds = writer.pending.adds
        for delivery in deliveries:
            if not delivery.journaled:
                delivery.journaled = True
                adds[delivery.seq] = delivery
        if committed is not None:
            writer.pending.committed.append((deliveries, committed))
        if writer.haste < Haste.SOON:
            writer.hasten(Haste.SOON)

    def remove(self, delivery: Delivery) -> None:
        """Nothing is owed any more: delivered, expired or evicted. Nothing happens if it was never added."""
        if not delivery.journaled:
            return
        delivery.journaled = False
        writer = self._writer
        if writer.pending.adds.pop(delivery.seq, None) is not None:
            self._cancelled += 1
            return
        writer.pending.updates.pop(delivery.seq, None)
        writer.pending.removes[delivery.seq] = delivery.webhook_seq
        haste = Haste.LATER if len(writer.pending.removes) < MOST_REMOVALS else Haste.NOW
        if writer.haste < haste:
            writer.hasten(haste)

    def update(self, delivery: Delivery) -> None:
        """Its attempts or its back-off changed; nothing happens if it was never added."""
        pending = self._writer.pending
        if delivery.journaled and delivery.seq not in pending.adds:
            pending.updates[delivery.seq] = delivery
            self._hasten(Haste.LATER)

    def bury(self, delivery: Delivery, code: str, reason: str) -> None:
        """Moves a delivery to the dead letters in one transaction, also one that was never added.

        Args:
            delivery: the delivery.
            code: short and stable, for filters and counters.
            reason: for people; holds no secret and no control character.
        """
        pending = self._writer.pending
        pending.adds.pop(delivery.seq, None)
        pending.updates.pop(delivery.seq, None)
        pending.burials[delivery.seq] = Burial(delivery, code, reason, self._clock.stamp())
        delivery.journaled = False
        self._hasten(Haste.SOON)

    async def convict(self, suspects: Sequence[int]) -> frozenset[int]:
        """For the start: counts a death of the process against what was in flight then, by seq.

        The third one makes a delivery a dead letter with the code `crash`. Writes only if there are suspects.

        Returns:
            Those that are still owed, and better sent one at a time: the others are innocent.
        """
        if not suspects:
            return frozenset()
        owed, guilty, usage = await self._writer.call(Store.convict, suspects)
        self._writer.weigh(usage)
        for one in guilty:
            if one.dedupe is not None:
                self._recent.discard(one.dedupe)
        return owed

    # Dead letters

    async def discard(self, ids: Sequence[int]) -> int:
        """Removes dead letters; how many there were."""
        await self._settle()
        count, usage = await self._writer.call(Store.discard, ids)
        self._writer.weigh(usage)
        return count

    # Deduplication and notes

    @property
    def clock(self) -> Clock:
        """The clocks of this session, and what earlier ones knew of the time."""
        return self._clock

    @property
    def keys(self) -> RecentKeys:
        """The deduplication keys that are known; at the start, those of what is owed are among them.

        What is only added here is forgotten with the process: `remember` is for what should outlive it.
        """
        return self._recent

    def remember(self, digests: Iterable[int]) -> None:
        """Keeps deduplication keys: written with the next commit, within half a minute, or by `flush`."""
        pending = self._writer.pending.digests
        for digest in digests:
            self._recent.add(digest)
            pending.append(digest)
        self._hasten(Haste.LAZY)

    def put(self, key: str, value: bytes) -> None:
        """Keeps a note: written with the next commit, within half a minute, or by `flush`."""
        self._writer.pending.meta[key] = value
        self._hasten(Haste.LAZY)

    # Room and life

    @property
    def size(self) -> int:
        """Bytes in use as of the last commit."""
        return self._writer.usage.bytes

    @property
    def excess(self) -> int:
        """Bytes, with those queued, above the mark at which a full journal takes more.

        Where it is full and this is 0, the disk has no room.
        """
        queued = sum(one.size for batch in self._batches for one in batch.adds.values())
        return max(0, self._writer.usage.bytes + queued - int(self._max_bytes * ROOM))

    @property
    def unburied(self) -> int:
        """Dead letters that are not durable yet."""
        return len(self._writer.pending.burials) + len(self._writer.flying.burials)

    @property
    def full(self) -> str:
        """Why nothing more fits; "" while there is room."""
        return self._writer.full

    @property
    def failed(self) -> "asyncio.Future[JournalError]":
        """Done, with the reason, once the journal is beyond repair: the process has to start anew."""
        return self._writer.failed

    @property
    def state(self) -> JournalState:
        """For status and metrics."""
        writer, tally = self._writer, self._tally
        return JournalState(
            bytes=writer.usage.bytes,
            max_bytes=self._max_bytes,
            full=writer.full,
            dead=writer.usage.dead,
            dead_bytes=writer.usage.dead_bytes,
            commits=writer.commits,
            cancelled=self._cancelled,
            corrupt=tally.corrupt,
            evicted_dead=tally.evicted_dead,
        )

    def listen(self, *, on_full: Callable[[str], None], on_room: Callable[[], None]) -> None:
        """Calls back when the journal becomes full, with the reason, and when it has room again."""
        self._writer.on_full, self._writer.on_room = on_full, on_room

    async def flush(self) -> None:
        """Returns once all that was queued is durable.

        Raises:
            JournalFull: some of it is not, for want of room; it stays queued.
            JournalError: the journal failed.
        """
        await self._writer.flush()

    async def close(self) -> None:
        """Commits what is queued, then closes."""
        self._maintenance.cancel()
        await asyncio.wait([self._maintenance])
        await self._writer.close()

    def _hasten(self, haste: Haste) -> None:
        if self._writer.haste < haste:
            self._writer.hasten(haste)

    async def _maintain(self) -> None:
        while not self.failed.done():
            await asyncio.sleep(MAINTENANCE)
            with suppress(JournalError):  # `failed` tells it
                await self._writer.maintain()
