"""What became of each delivery, told from the log of many short lives."""

import json
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """Of many lives on one journal."""

    cycles: int = 0
    killed: int = 0
    offered: int = 0
    accepted: int = 0
    delivered: int = 0
    dead: int = 0
    lost: int = 0
    """Accepted, and neither received nor a dead letter."""
    disordered: int = 0
    """Received for the first time behind a later one of their lane, or out of order within a life."""
    duplicates: int = 0
    unexplained: int = 0
    """Received again although nothing was unsettled about them at a crash."""
    most_duplicates: int = 0
    """After one crash."""
    most_in_flight: int = 0
    """Sent and not answered when a child died."""
    most_unmarked: int = 0
    """Answered when a child died, and their removal not yet durable."""
    survivors: list[str] = field(default_factory=list)
    """Points that a child never reached."""
    examples: list[str] = field(default_factory=list)


class Judge:
    """Reads the log."""

    def __init__(self) -> None:
        self.figures = Figures()
        self._handed: set[str] = set()
        self._accepted: set[str] = set()
        self._received: dict[str, int] = {}
        """The life in which it was received last."""
        self._settled: set[str] = set()
        self._dead: set[str] = set()
        self._highest: dict[str, int] = defaultdict(lambda: -1)
        self._life = 0
        self._latest: dict[str, int] = {}
        self._in_flight: set[str] = set()
        self._unmarked: set[str] = set()
        self._unsettled: dict[int, set[str]] = {}
        self._after: dict[int, int] = defaultdict(int)

    def read(self, line: str) -> None:
        """Takes in the next line."""
        word, _, about = line.partition(" ")
        match word:
            case "life":
                self._begin()
            case "offered":
                self.figures.offered += 1
            case "handed":
                self._handed.add(about)
            case "accepted":
                self._accepted.add(about)
            case "sent":
                self._in_flight.add(about)
            case "received":
                self._receive(about)
            case "answered":
                self._in_flight.discard(about)
                self._unmarked.add(about)
            case "removed" | "buried":
                self._settled.add(about)
                self._unmarked.discard(about)
            case "dead":
                self._dead = set(json.loads(about)[0])

    def _begin(self) -> None:
        stored = self._unmarked & self._handed
        self._unsettled[self._life] = self._in_flight | stored
        self.figures.most_in_flight = max(self.figures.most_in_flight, len(self._in_flight))
        self.figures.most_unmarked = max(self.figures.most_unmarked, len(stored))
        self._life += 1
        self._in_flight, self._unmarked, self._latest = set(), set(), {}

    def _receive(self, about: str) -> None:
        self._check_order(about)
        earlier = self._received.get(about)
        if earlier is not None:
            self.figures.duplicates += 1
            self._after[earlier] += 1
            if about in self._settled or about not in self._unsettled.get(earlier, ()):
                self._blame("unexplained", about)
        self._received[about] = self._life

    def _check_order(self, about: str) -> None:
        lane, _, number = about.rpartition(" ")
        if lane.endswith(" None"):
            return
        if int(number) <= self._latest.get(lane, -1):
            self._blame("disordered", about)
        self._latest[lane] = int(number)
        if about not in self._received:
            if int(number) < self._highest[lane]:
                self._blame("disordered", about)
            self._highest[lane] = max(self._highest[lane], int(number))

    def _blame(self, what: str, about: str) -> None:
        setattr(self.figures, what, getattr(self.figures, what) + 1)
        self.figures.examples.append(f"{what} in life {self._life}: {about}")

    def verdict(self) -> Figures:
        """The figures, once everything is delivered."""
        for about in sorted(self._accepted - self._received.keys() - self._dead):
            self._blame("lost", about)
        figures = self.figures
        figures.accepted, figures.delivered = len(self._accepted), len(self._received)
        figures.dead = len(self._dead)
        figures.most_duplicates = max(self._after.values(), default=0)
        del figures.examples[5:]
        return figures
