"""What gives way where the journal holds all that it may, as `journal.when_full` says.

What is in flight never gives way. A disk without room is another matter: then the intake is held, whatever
the policy, for what is given up would make no room there.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from bridge.delivery.lane import Lane
from bridge.delivery.outbox import Outbox
from bridge.delivery.refill import Refill
from bridge.delivery.settlement import Settlement
from bridge.errors import JournalError, JournalFull
from bridge.journal.journal import Journal
from bridge.journal.reading import first_of
from bridge.message import Delivery

log = logging.getLogger(__name__)

LEAST, MOST = 64 * 1024, 1024 * 1024
"""Bytes that are given up at once."""
LOADING = 0.005
"""Seconds between looks whether lanes are still being read back."""
EPISODE = 60.0
"""Seconds without an eviction after which the next one is news."""


class Eviction:
    """Gives up deliveries, each counted as evicted.

    Args:
        outboxes: by target; what is in memory.
        resume: called when memory is free, and lanes may be read back again.

    Attributes:
        policy: disconnect (nothing gives way), drop_oldest or drop_newest.
    """

    def __init__(
        self,
        journal: Journal,
        outboxes: Mapping[str, Outbox],
        settlement: Settlement,
        refill: Refill,
        resume: Callable[[], None],
    ) -> None:
        self.policy = "disconnect"
        self._journal = journal
        self._outboxes = outboxes
        self._settlement = settlement
        self._refill = refill
        self._resume = resume
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._gave_way = False
        """Since the journal is full."""
        self._last = -EPISODE

    @property
    def _makes_room(self) -> bool:
        """Whether giving up deliveries is what the full journal asks for."""
        return self.policy != "disconnect" and bool(self._journal.full) and self._journal.excess > 0

    @property
    def reads(self) -> bool:
        """Whether it looks for the oldest deliveries: no lane may be read back meanwhile."""
        return self._task is not None

    def relieve(self) -> bool:
        """Begin to make room where that is asked for; whether the intake has to be held instead."""
        if not self._journal.full:
            self._gave_way = False
            return False
        if self.policy == "disconnect":
            return True
        if not self._makes_room:
            return not self._gave_way  # else the journal is about to find that there is room
        if self.policy == "drop_oldest" and self._task is None:
            self._task = self._loop.create_task(self._make_room(), name="eviction")
            self._task.add_done_callback(self._ended)
        elif self.policy == "drop_newest":
            self._drop_queued()
        return False

    def _drop_queued(self) -> None:
        """Give up the newest of what was queued before the journal was known to be full."""
        self._give_up(first_of(self._journal.excess, reversed(self._journal.queued())))

    def admitted(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """What is to be stored of new deliveries: where the newest give way, only what is in flight."""
        if self.policy != "drop_newest" or not self._makes_room:
            return deliveries
        self._loop.call_soon(self._resume)
        return self._give_up(deliveries)

    async def close(self) -> None:
        """Give up nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _make_room(self) -> None:
        with suppress(JournalError):  # what the journal suffers from is told elsewhere
            while self._makes_room and await self._drop_oldest():
                pass

    async def _drop_oldest(self) -> bool:
        """Give up a portion; whether there was anything."""
        # What a read under way counts on must still be there when it ends.
        while any(outbox.loads for outbox in self._outboxes.values()):  # noqa: ASYNC110  # milliseconds, seldom
            await asyncio.sleep(LOADING)
        wanted = min(max(self._journal.excess, LEAST), MOST)
        after, dropped = 0, False
        while wanted > 0 and (rows := await self._journal.oldest(wanted, after)):
            after = rows[-1].seq
            kept = {one.seq for one in self._give_up(rows)}
            wanted -= sum(one.size for one in rows if one.seq not in kept)
            dropped |= len(kept) < len(rows)
        with suppress(JournalFull):  # removals are durable all the same
            await self._journal.flush()
        return dropped

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled():
            task.result()
            self._resume()

    def _give_up(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Evict what is not in flight; returns the rest."""
        lanes: dict[tuple[str, str | None], list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            lanes[delivery.target, delivery.order_key].append(delivery)
        in_flight: list[Delivery] = []
        for (target, key), some in lanes.items():
            outbox = self._outboxes[target]
            in_flight += self._give_up_of(outbox, outbox.lane(key), some)
        return in_flight

    def _give_up_of(self, outbox: Outbox, lane: Lane, deliveries: Iterable[Delivery]) -> list[Delivery]:
        deliveries = list(deliveries)
        is_held = any(one.seq <= lane.tail for one in deliveries)
        waiting = {one.seq: one for one in lane.waiting()} if is_held else {}
        in_flight: list[Delivery] = []
        for delivery in deliveries:
            held = waiting.get(delivery.seq)
            if held is not None:
                self._evict(held)
                lane.held_bytes -= held.size
                outbox.held_bytes -= held.size
            elif delivery.seq > lane.tail:
                self._evict(delivery)
                lane.stored -= 1
            else:
                in_flight.append(delivery)
        if waiting:
            lane.discard_done()
        if lane.stored:
            self._refill.want(outbox, lane)
        else:
            outbox.starving.pop(lane, None)
        outbox.forget_if_empty(lane)
        return in_flight

    def _evict(self, delivery: Delivery) -> None:
        self._tell()
        self._gave_way = True
        self._settlement.evicted(delivery)

    def _tell(self) -> None:
        now = self._loop.time()
        if now - self._last >= EPISODE:
            which = "oldest" if self.policy == "drop_oldest" else "newest"
            log.warning("the journal is full: the %s deliveries are given up, and counted as evicted", which)
        self._last = now
