"""The journal as the event loop sees it: what is not delivered yet, durable, and nothing that blocks."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bridge.errors import JournalError, JournalFull
from bridge.journal.batch import Burial, Committed
from bridge.journal.clock import Clock
from bridge.journal.deadletters import DeadFilter
from bridge.journal.dedupe import RecentKeys
from bridge.journal.keeper import Keeper
from bridge.journal.rows import DeadLetter, LaneSummary, dedupe_digest
from bridge.journal.store import Store, Tally
from bridge.journal.writer import Haste, Writer
from bridge.message import Delivery
from bridge.webhook import Webhook

MAINTENANCE = 60.0
"""Seconds."""


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


class Journal:
    """Deliveries that are owed, dead letters and a few notes. Used from the event loop that opened it.

    A delivery that is added and removed before the next commit is never written.
    """

    def __init__(
        self, writer: Writer, *, clock: Clock, recent: RecentKeys, tally: Tally, max_bytes: int
    ) -> None:
        """For `open`."""
        self._writer = writer
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

    def remove(self, delivery: Delivery, *, dedupe: tuple[str, str] | None = None) -> None:
        """Nothing is owed any more: delivered, expired or evicted. Nothing happens if it was never added.

        Args:
            delivery: the delivery.
            dedupe: (scope, key) to be `seen` from now on, recorded in the same transaction.
        """
        if dedupe is not None:
            self._remember(dedupe_digest(*dedupe))
        if not delivery.journaled:
            return
        delivery.journaled = False
        writer = self._writer
        if writer.pending.adds.pop(delivery.seq, None) is not None:
            self._cancelled += 1
            return
        writer.pending.updates.pop(delivery.seq, None)
        writer.pending.removes[delivery.seq] = delivery.webhook_seq
        if writer.haste < Haste.LATER:
            writer.hasten(Haste.LATER)

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

    async def read(
        self, target: str, order_key: str | None, after_seq: int, max_bytes: int, limit: int
    ) -> list[Delivery]:
        """A lane's deliveries behind `after_seq`, in the order of their seqs; at least one if there is one.

        Sees all that was queued before the call, and may see what was queued during it. Damaged rows are
        counted, set aside and skipped.
        """
        await self._settle()
        found, more = await self._writer.call(Store.read, target, order_key, after_seq, max_bytes, limit)
        known = {one.seq: one for one in found}
        batches = (self._writer.flying, self._writer.pending)
        if not more:  # on a full disk, deliveries are in memory only
            for one in chain.from_iterable(batch.adds.values() for batch in batches):
                if one.seq > after_seq and (one.target, one.order_key) == (target, order_key):
                    known.setdefault(one.seq, one)
        owed = [one for seq, one in sorted(known.items()) if not any(batch.drops(seq) for batch in batches)]
        return owed[:limit]

    async def lanes(self) -> list[LaneSummary]:
        """What each lane holds. Reads every delivery: for the start."""
        await self._settle()
        return await self._writer.call(Store.lanes)

    async def next_seq(self) -> int:
        """Greater than any seq that was ever used, dead letters and earlier sessions included."""
        return await self._writer.call(Store.next_seq)

    async def evict_oldest(self, n_bytes: int) -> list[tuple[int, str, str]]:
        """Removes the oldest deliveries until `n_bytes` are gained: (seq, target, route) of each."""
        await self._settle()
        gone, usage = await self._writer.call(Store.evict_oldest, n_bytes)
        self._writer.weigh(usage)
        return gone

    # Dead letters

    async def dead(
        self,
        *,
        route: str | None = None,
        target: str | None = None,
        code: str | None = None,
        before: float | None = None,
        limit: int = 100,
        after: int = 0,
    ) -> list[DeadLetter]:
        """Dead letters in the order of their IDs, behind the ID `after`; `before` is Unix time in seconds."""
        await self._settle()
        wanted = DeadFilter(route=route, target=target, code=code, before=before)
        return await self._writer.call(Store.dead, wanted, limit, after)

    async def dead_letter(self, letter_id: int) -> DeadLetter | None:
        """One dead letter; None where there is none, or it is damaged."""
        found = await self.exhume(letter_id)
        return found and found[1]

    async def exhume(self, letter_id: int) -> tuple[Webhook, DeadLetter] | None:
        """A dead letter and its webhook for another try; None where there is none, or it is damaged.

        It stays: `add` the new delivery and `flush`, then `discard` it, and a crash between loses nothing.
        """
        await self._settle()
        return await self._writer.call(Store.exhume, letter_id)

    async def discard(self, ids: Sequence[int]) -> int:
        """Removes dead letters; how many there were."""
        await self._settle()
        count, usage = await self._writer.call(Store.discard, ids)
        self._writer.weigh(usage)
        return count

    # Deduplication and notes

    async def seen(self, scope: str, key: str) -> bool:
        """Whether `remove` recorded this key lately."""
        return dedupe_digest(scope, key) in self._recent

    async def get(self, key: str) -> bytes | None:
        """What was `put` last; None where nothing was, or it is damaged."""
        for batch in (self._writer.pending, self._writer.flying):
            if key in batch.meta:
                return batch.meta[key]
        return await self._writer.call(Store.get, key)

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

    def _remember(self, digest: int) -> None:
        self._recent.add(digest)
        self._writer.pending.digests.append(digest)
        self._hasten(Haste.LAZY)

    async def _settle(self) -> None:
        with suppress(JournalFull):  # what isn't stored is still in `pending`
            await self._writer.flush()

    async def _maintain(self) -> None:
        while not self.failed.done():
            await asyncio.sleep(MAINTENANCE)
            with suppress(JournalError):  # `failed` tells it
                await self._writer.maintain()
