"""Reading back from the journal what a lane could not hold in memory."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from bridge.delivery.lane import Lane
from bridge.delivery.outbox import Outbox
from bridge.errors import JournalError
from bridge.journal.journal import Journal
from bridge.message import Delivery

log = logging.getLogger(__name__)

LOW_WATER = 64
"""Held deliveries below which a lane is read back."""
ROWS = 512
AT_ONCE = 4

Loaded = Callable[[Outbox, Lane, Sequence[Delivery], int], None]


class Refill:
    """Feeds lanes whose tail is in the journal, a bounded portion at a time, while their target takes it."""

    def __init__(self, journal: Journal, loaded: Loaded) -> None:
        self._journal = journal
        self._loaded = loaded
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def want(self, outbox: Outbox, lane: Lane) -> None:
        """Read a lane's stored deliveries back if it runs low."""
        if not lane.loading and lane.runs_low(self._loop.time(), LOW_WATER):
            outbox.starving[lane] = None

    def feed(self, outbox: Outbox, share: int) -> None:
        """Start to read for starving lanes, as far as memory and the target allow."""
        if outbox.target is None or outbox.target.capacity() <= 0:
            return
        while outbox.starving and outbox.loads < AT_ONCE:
            portion = self._portion(outbox, share)
            if portion is None:
                return
            lane = next(iter(outbox.starving))
            del outbox.starving[lane]
            lane.loading = True
            outbox.loads += 1
            task = self._loop.create_task(self._load(outbox, lane, *portion), name=f"refill {outbox.name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @staticmethod
    def _portion(outbox: Outbox, share: int) -> tuple[int, int] | None:
        """Bytes and rows to read; None while memory is taken by lanes that can still send."""
        if outbox.held_bytes < share:
            return share // AT_ONCE, ROWS
        # Lanes that wait for their retry hold all the memory: the others still get on, one at a time.
        return (1, 1) if outbox.stuck else None

    async def _load(self, outbox: Outbox, lane: Lane, max_bytes: int, rows: int) -> None:
        expected = lane.stored
        try:
            found = await self._journal.read(outbox.name, lane.order_key, lane.tail, max_bytes, rows)
        except JournalError as error:
            log.error("cannot read back what is owed to %s: %s", outbox.name, error)  # noqa: TRY400  # known
            outbox.starving[lane] = None
            return
        finally:
            lane.loading = False
            outbox.loads -= 1
        # Everything stored before the question was there to be found; an empty answer means damage.
        self._loaded(outbox, lane, found, 0 if found else expected)

    async def close(self) -> None:
        """Stop reading."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
