"""What must arrive, and what did: kept outside of everything that breaks.

A webhook is *taken* once the bridge's own count of received webhooks includes it. The relay writes in order
and the bridge reads in order, so that count says exactly which of the written ones it has. It is *safe* once
the bridge says that it has nothing unsaved. A process that is killed may have taken what was on its way, and
may have stored or delivered what was not safe yet: nobody knows, so the relay sends those again.
"""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from bridge.journal.journal import MOST_REMOVALS
from tests.chaos.world import Event, Route, routes_for

FATAL = 3
"""Deaths of the process, with a delivery in flight each time, that convict it."""
UNMARKED_SECONDS = 0.5
"""A delivery's removal from the journal is committed so long after its acknowledgement, mostly."""
UNMARKED = 2 * MOST_REMOVALS
SLOW_SECONDS = 10.0
"""On a busy machine a commit takes longer; no more than so many removals wait for it, or are in it."""


@dataclass
class Oracle:
    """Counts webhooks on their way in, and deliveries on their way out."""

    events: dict[int, Event] = field(default_factory=dict)
    first_taken: dict[int, int] = field(default_factory=dict)
    """Position in the order of acceptance, by number."""
    certain: Counter[int] = field(default_factory=Counter)
    """How often each was taken."""
    possible: Counter[int] = field(default_factory=Counter)
    """How often more each may have been taken."""
    unsettled: list[int] = field(default_factory=list)
    """Written to this process, and nothing known of them."""
    settled: int = 0
    """Webhooks that this process counted, as of the last look."""
    allowed: Counter[str] = field(default_factory=Counter)
    """Duplicates that faults explain, by target."""
    arrived: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Numbers by place, in their order."""
    wrong: list[str] = field(default_factory=list)
    deaths: int = 0
    """Of processes that didn't end in order."""
    may_convict: int = 0
    """Dead letters with the code `crash` that the run explains; by itself, none is right."""
    _times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _deaths_before: dict[int, int] = field(default_factory=dict)
    """Deaths before a webhook was first written."""
    _taken_here: set[int] = field(default_factory=set)
    _unsafe: list[int] = field(default_factory=list)
    _position: int = 0

    # On the way in

    def announce(self, events: Iterable[Event]) -> None:
        """The relay is about to write these."""
        for event in events:
            self.events[event.n] = event
            self._deaths_before.setdefault(event.n, self.deaths)

    def wrote(self, events: Iterable[Event]) -> None:
        """The relay wrote these to the current connection, in this order."""
        self.unsettled += [event.n for event in events]

    @property
    def written(self) -> int:
        """What this process will have counted once it has read everything."""
        return self.settled + len(self.unsettled)

    def settle(self, counted: int) -> list[Event]:
        """The bridge counted so many, and no more will come of what was written; those it doesn't have."""
        received = counted - self.settled
        assert 0 <= received <= len(self.unsettled), "the bridge counts webhooks that nobody sent"
        for n in self.unsettled[:received]:
            self._take(n)
        lost = self.unsettled[received:]
        self.settled, self.unsettled = counted, []
        return [self.events[n] for n in lost]

    def _take(self, n: int) -> None:
        if n in self._taken_here:  # one process takes a webhook once
            return
        self._taken_here.add(n)
        if self.certain[n]:  # an earlier process did: this one may know, or not
            self.possible[n] += 1
            return
        self.certain[n] = 1
        self._unsafe.append(n)
        if not self.possible[n]:
            self.first_taken[n] = self._position = self._position + 1

    def safe(self) -> None:
        """The bridge has nothing unsaved of what was taken so far."""
        self._unsafe.clear()

    def process_ended(self) -> list[Event]:
        """The process is gone; the webhooks of which nobody knows what it did with them."""
        for n in self._unsafe:
            del self.certain[n]
            self.first_taken.pop(n, None)
        unknown = [*self._unsafe, *self.unsettled]
        self.possible.update(unknown)
        self.unsettled, self.settled, self._unsafe = [], 0, []
        self._taken_here.clear()
        return [self.events[n] for n in unknown]

    def excuse(self, target: str, in_flight: int) -> None:
        """A fault took acknowledgements away: so many deliveries may come twice."""
        self.allowed[target] += in_flight

    def excuse_crash(self, target: str, in_flight: int) -> None:
        """A crash also repeats what was acknowledged and not marked yet."""
        times = self._times[target]
        now = time.monotonic()
        unmarked, slowly = (
            len(times) - bisect_left(times, now - age) for age in (UNMARKED_SECONDS, SLOW_SECONDS)
        )
        self.excuse(target, in_flight + max(unmarked, min(slowly, UNMARKED)))

    # On the way out

    def arrive(self, target: str, place: str, payload: bytes) -> None:
        """Something arrived."""
        self._times[target].append(time.monotonic())
        try:
            event = self.events[orjson.loads(payload)["n"]]
            route = next(route for route in routes_for(event) if route.place_of(event) == place)
        except (orjson.JSONDecodeError, LookupError, TypeError, StopIteration):
            self.wrong.append(f"{place}: {payload[:100]!r} was never to go there")
            return
        self.arrived[place].append(event.n)
        if not _same(route, event, payload):
            self.wrong.append(f"{place}: {payload[:100]!r} is not what was sent")

    # The judgement

    def judge(self, status: dict[str, Any]) -> "Verdict":
        """What went wrong, given the bridge's last status: nothing, if all is well."""
        convicted = set(status["convicted"])
        verdict = Verdict(webhooks=len(self.certain), convicted=len(convicted), wrong=list(self.wrong))
        counts = {place: Counter(numbers) for place, numbers in self.arrived.items()}
        for event in self.events.values():
            for route in routes_for(event):
                if not route.poison_only and (route.name, event.n) not in convicted:
                    place = route.place_of(event)
                    self._weigh(verdict, event.n, route, counts.get(place, Counter())[event.n])
        for target, twice in verdict.duplicates.items():
            if twice > self.allowed[target]:
                verdict.wrong.append(f"{target}: {twice} duplicates, faults explain {self.allowed[target]}")
        verdict.wrong += (
            self._inversions() + self._convictions(convicted) + self._stored(status) + _sums(status)
        )
        return verdict

    def _weigh(self, verdict: "Verdict", n: int, route: Route, arrivals: int) -> None:
        verdict.deliveries += arrivals
        most = self.certain[n] + self.possible[n]
        if self.certain[n] and not arrivals:
            verdict.wrong.append(f"{n} is lost: {route.name} never got it")
        elif arrivals and not most:
            verdict.wrong.append(f"{n} arrived at {route.name}, and was never taken")
        verdict.duplicates[route.target] += max(0, arrivals - most)

    def _inversions(self) -> list[str]:
        last: dict[str, int] = {}
        found = []
        for place, numbers in self.arrived.items():
            for n in dict.fromkeys(numbers):
                position = self.first_taken.get(n)
                event = self.events[n]
                route = next(route for route in routes_for(event) if route.place_of(event) == place)
                lane = route.lane_of(event)
                if position is None or lane is None:
                    continue
                if position < last.get(lane, -1):
                    found.append(f"{lane}: {n} came after a later one")
                last[lane] = max(position, last.get(lane, -1))
        return found

    def _convictions(self, convicted: set[tuple[str, int]]) -> list[str]:
        found = [
            f"{n} of {route} is convicted of {deaths} deaths"
            for route, n in sorted(convicted)
            if (deaths := self.deaths - self._deaths_before[n]) < FATAL
        ]
        if len(convicted) > self.may_convict:
            found.append(
                f"{len(convicted)} convicted, not {self.may_convict} at most: {sorted(convicted)[:5]}"
            )
        return found

    def _stored(self, status: dict[str, Any]) -> list[str]:
        poisoned = [n for n, event in self.events.items() if any(r.poison_only for r in routes_for(event))]
        least = sum(bool(self.certain[n]) for n in poisoned)
        most = sum(self.certain[n] + self.possible[n] for n in poisoned)
        rows = status["on_disk"]
        dead = rows["dead"] - len(status["convicted"])
        found = [] if least <= dead <= most else [f"{dead} dead letters, not {least} to {most}"]
        if rows["deliveries"] or rows["quarantine"]:
            found.append(f"something is left in the journal: {rows}")
        return found


@dataclass
class Verdict:
    """What a run came to."""

    webhooks: int = 0
    deliveries: int = 0
    duplicates: Counter[str] = field(default_factory=Counter)
    convicted: int = 0
    """Dead letters with the code `crash`."""
    wrong: list[str] = field(default_factory=list)


def _same(route: Route, event: Event, payload: bytes) -> bool:
    if route.rendered:
        return bool(orjson.loads(payload) == {"n": event.n, "sender": event.sender})
    return payload == event.body


def _sums(status: dict[str, Any]) -> list[str]:
    """Conservation, and nothing left."""
    found = []
    for name, target in status["targets"].items():
        settled = target["delivered"] + target["dead"] + target["expired"] + target["evicted"]
        if target["accepted"] != settled + target["pending"] or target["pending"]:
            found.append(f"{name}: the counts don't add up to nothing pending: {target}")
        if target["expired"] or target["evicted"]:
            found.append(f"{name}: something expired or was evicted: {target}")
    return found
