"""What waits for the next commit. Pure: everything happens on the event loop, so nothing is locked."""

from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bridge.journal.dedupe import LIMIT
from bridge.message import Delivery

Committed = Callable[[Sequence[Delivery]], None]


@dataclass(frozen=True, slots=True)
class Burial:
    """A delivery on its way to the dead letters."""

    delivery: Delivery
    code: str
    reason: str
    at: float
    """Unix time, in seconds."""


@dataclass(slots=True)
class Batch:
    """Changes that are committed together. A seq is in at most one of adds, removes and burials."""

    adds: dict[int, Delivery] = field(default_factory=dict)
    removes: dict[int, int] = field(default_factory=dict)
    """Webhook's seq by the delivery's."""
    updates: dict[int, Delivery] = field(default_factory=dict)
    burials: dict[int, Burial] = field(default_factory=dict)
    digests: deque[int] = field(default_factory=lambda: deque(maxlen=LIMIT))
    """Deduplication keys."""
    meta: dict[str, bytes] = field(default_factory=dict)
    committed: list[tuple[Sequence[Delivery], Committed]] = field(default_factory=list)
    waiters: list["Future[None]"] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.adds or self.removes or self.updates or self.burials or self.digests or self.meta)

    @property
    def grows(self) -> bool:
        """Whether it needs room on the disk."""
        return bool(self.adds or self.burials or self.digests or self.meta)

    def drops(self, seq: int) -> bool:
        """Whether the delivery leaves its lane with this batch."""
        return seq in self.removes or seq in self.burials

    def take_removals(self) -> "Batch":
        """Splits off what makes room, and who waits."""
        taken = Batch(removes=self.removes, waiters=self.waiters)
        self.removes, self.waiters = {}, []
        return taken

    def put_back(self, older: "Batch") -> None:
        """Takes in a batch that could not be committed, in front of what came since."""
        adds = dict(older.adds)
        for seq in older.adds:
            if self.removes.pop(seq, None) is not None or seq in self.burials:
                del adds[seq]
        self.adds = adds | self.adds
        self.removes = older.removes | self.removes
        updates = older.updates | self.updates
        self.updates = {seq: one for seq, one in updates.items() if seq not in adds and not self.drops(seq)}
        self.burials = older.burials | self.burials
        self.digests = older.digests + self.digests
        self.meta = older.meta | self.meta
        self.committed = older.committed + self.committed
