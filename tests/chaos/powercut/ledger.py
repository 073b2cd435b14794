"""What a journal may hold after a crash, told from what was asked of it and what it confirmed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.powercut.contents import Contents

ABSENT, ALIVE, DEAD = "absent", "alive", "dead"


@dataclass(slots=True)
class Fate:
    """The states of one delivery in the order in which they were asked for."""

    states: list[str]
    sure: int = 0
    """The state that was confirmed: no earlier one may come back."""
    remembered: bool = False
    """Whether the transaction that removes it holds its key; it was asked for after the row was durable."""

    def allowed(self) -> list[str]:
        return self.states[self.sure :]


@dataclass(slots=True)
class Span:
    """A number that only grows: what was confirmed, and what was asked for."""

    sure: int = 0
    asked: int = 0


@dataclass(slots=True)
class Ledger:
    """Reads the marks of a child; `verdict` says what is wrong with a journal."""

    fates: dict[int, Fate] = field(default_factory=dict)
    attempts: dict[int, Span] = field(default_factory=dict)
    note: Span = field(default_factory=Span)
    confirmed: int = 0

    @classmethod
    def starting(cls, found: Contents) -> "Ledger":
        """For a journal that holds this already."""
        ledger = cls(note=Span(found.note, found.note))
        for state, seqs in ((ALIVE, found.alive), (DEAD, found.dead)):
            ledger.fates |= {seq: Fate([state]) for seq in seqs}
        for seq, attempts in found.alive.items():
            ledger.attempts[seq] = Span(attempts, attempts)
        return ledger

    def read(self, mark: str) -> None:
        """Takes in the next mark: a word and what it is about."""
        word, *about = json.loads(mark)
        match word:
            case "add":
                for seq in about:
                    self.fates[seq] = Fate([ABSENT, ALIVE])
                    self.attempts[seq] = Span()
            case "committed":
                for seq in about:
                    self._committed(seq)
            case "remove":
                self._remove(*about)
            case "bury":
                self.fates.setdefault(about[0], Fate([ABSENT])).states.append(DEAD)
            case "discard":
                self.fates[about[0]].states.append(ABSENT)
            case "update":
                self.attempts[about[0]].asked += 1
            case "put":
                self.note.asked = about[0]
            case "flushed":
                self._flushed()

    def _committed(self, seq: int) -> None:
        self.confirmed += 1
        self.fates[seq].sure = max(self.fates[seq].sure, 1)

    def _remove(self, seq: int, remember: bool) -> None:
        fate = self.fates[seq]
        fate.remembered = remember and fate.states[fate.sure] == ALIVE
        fate.states.append(ABSENT)

    def _flushed(self) -> None:
        for fate in self.fates.values():
            fate.sure = len(fate.states) - 1
        for span in (*self.attempts.values(), self.note):
            span.sure = span.asked

    def verdict(self, found: Contents) -> list[str]:
        """What is wrong; nothing if the journal kept its promises."""
        return [*found.problems, *self._misplaced(found), *self._stale(found), *self._undeduplicated(found)]

    def _misplaced(self, found: Contents) -> Iterable[str]:
        for seq in found.alive.keys() & found.dead:
            yield f"doubled: {seq} is owed and a dead letter"
        for seq in (found.alive.keys() | found.dead) - self.fates.keys():
            yield f"ghost: {seq} was never added"
        for seq, fate in self.fates.items():
            state = found.state(seq)
            if state not in fate.allowed():
                what = "lost" if state == ABSENT else "ghost"
                yield f"{what}: {seq} is {state}, not {' or '.join(fate.allowed())}"

    def _stale(self, found: Contents) -> Iterable[str]:
        if not self.note.sure <= found.note <= self.note.asked:
            yield f"stale: the note says {found.note}, not {self.note}"
        for seq, attempts in found.alive.items():
            span = self.attempts.get(seq, Span())
            if not span.sure <= attempts <= span.asked:
                yield f"stale: {seq} has {attempts} attempts, not {span}"
        if found.next_seq <= max(self.fates, default=0):
            yield f"reused: the next seq is {found.next_seq}"

    def _undeduplicated(self, found: Contents) -> Iterable[str]:
        for seq, fate in self.fates.items():
            if fate.remembered and found.state(seq) == ABSENT and seq not in found.digests:
                yield f"undeduplicated: {seq} was removed without its key"
