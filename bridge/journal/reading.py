"""What can be asked of the journal. An answer knows all that was queued before the question."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice

from bridge.errors import JournalFull
from bridge.journal.batch import Batch
from bridge.journal.deadletters import DeadFilter
from bridge.journal.rows import DeadLetter, LaneSummary
from bridge.journal.store import Store
from bridge.journal.writer import Writer
from bridge.message import Delivery
from bridge.webhook import Webhook


class Reading:
    """The questions."""

    def __init__(self, writer: Writer) -> None:
        """For `Journal`."""
        self._writer = writer

    # Deliveries

    async def next_seq(self) -> int:
        """Greater than any seq that was ever used, dead letters and earlier sessions included."""
        return await self._writer.call(Store.next_seq)

    async def lanes(self) -> list[LaneSummary]:
        """What each lane holds. Reads every delivery: for the start."""
        await self._settle()
        return await self._writer.call(Store.lanes)

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
        if not more:  # on a full disk, deliveries are in memory only
            for one in chain.from_iterable(batch.adds.values() for batch in self._batches):
                if one.seq > after_seq and (one.target, one.order_key) == (target, order_key):
                    known.setdefault(one.seq, one)
        return list(islice(self._owed(known), limit))

    async def oldest(self, n_bytes: int, after: int = 0) -> list[Delivery]:
        """The oldest deliveries of all lanes behind the seq `after`, about as many as take `n_bytes`.

        They stay. Those that found no room yet are among them.
        """
        await self._settle()
        known = {one.seq: one for one in await self._writer.call(Store.oldest, n_bytes, after)}
        for one in self.queued():
            if one.seq > after:
                known.setdefault(one.seq, one)
        return first_of(n_bytes, self._owed(known))

    def queued(self) -> list[Delivery]:
        """Deliveries that are to be stored and are not durable yet, in their order."""
        flying, pending = self._batches
        adds = flying.adds | pending.adds
        return [adds[seq] for seq in sorted(adds)]  # a lane's tail is queued before its head has lingered

    async def webhooks(self, after: int, n_bytes: int) -> list[tuple[int, Webhook]]:
        """Webhooks that a delivery or a dead letter needs, by seq, behind `after`, of about `n_bytes`."""
        await self._settle()
        return await self._writer.call(Store.webhooks, after, n_bytes)

    # Dead letters and notes

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

    async def exhume_all(
        self, ids: Sequence[int], n_bytes: int
    ) -> dict[int, tuple[Webhook, DeadLetter] | None]:
        """As `exhume`, for the first of these IDs that take `n_bytes` together; at least one."""
        await self._settle()
        return await self._writer.call(Store.exhume_all, ids, n_bytes)

    async def get(self, key: str) -> bytes | None:
        """What was `put` last; None where nothing was, or it is damaged."""
        for batch in reversed(self._batches):
            if key in batch.meta:
                return batch.meta[key]
        return await self._writer.call(Store.get, key)

    @property
    def _batches(self) -> tuple[Batch, Batch]:
        """What is being committed, and what comes after it."""
        return self._writer.flying, self._writer.pending

    def _owed(self, known: Mapping[int, Delivery]) -> Iterator[Delivery]:
        """By seq, without what leaves with a batch that is not committed yet."""
        batches = self._batches
        return (known[seq] for seq in sorted(known) if not any(batch.drops(seq) for batch in batches))

    async def _settle(self) -> None:
        with suppress(JournalFull):  # what isn't stored is still in `pending`
            await self._writer.flush()


def first_of(n_bytes: int, deliveries: Iterable[Delivery]) -> list[Delivery]:
    """The first that take `n_bytes` together."""
    found: list[Delivery] = []
    for one in deliveries:
        if n_bytes <= 0:
            break
        found.append(one)
        n_bytes -= one.size
    return found
