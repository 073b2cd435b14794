"""What waits while the broker is down: its memory, and how fast it is handed on afterwards."""

import time

from tests.bench.growth.layout import Layout
from tests.bench.growth.studies import rates
from tests.bench.growth.studies.base import Claim, RigFor, Step, Study
from tests.bench.measures.backlog import settle
from tests.bench.measures.base import MIB, Lengths, Metric, Values
from tests.bench.rig import ContenderFailed, Rig

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
LEAST_RATE = 200
"""Webhooks that are taken per second, at the least."""
BACK_SECONDS = 90
"""For the first arrival; after a long outage the bridge waits up to a minute between two attempts."""
DRAIN_SECONDS = 20
"""A bridge that hands nothing on for so long has nothing more."""


def run(step: Step, rig_for: RigFor, _lengths: Lengths) -> Values:
    """Send so many while the broker is down, and start it again."""
    with rig_for(step.layout, keep=True) as rig:
        rig.stop_broker()
        rig.load.burst(step.x, 60 + step.x / LEAST_RATE)
        settle(rig)
        memory, written = rig.process.memory(), rig.process.written()
        back, rate = _drain(rig)
        return {
            "taken": rig.load.tally.sent,
            "rss": memory.rss / MIB,
            "pss": memory.pss / MIB,
            "written": written / MIB,
            "back": back,
            "rate": rate,
            "lost": rig.load.tally.outstanding,
            "repeated": rig.load.tally.repeated,
        }


def _drain(rig: Rig) -> tuple[float, float]:
    """Seconds from the broker's start to the first arrival, and webhooks a second from there to the last."""
    tally = rig.load.tally
    start = time.monotonic_ns()
    rig.start_broker()
    if not rig.load.wait(lambda: tally.seen > 0, BACK_SECONDS):
        raise ContenderFailed("it hands nothing on")
    first, seen = tally.last_arrival, tally.seen
    rig.load.drain(DRAIN_SECONDS)
    return (first - start) / 1e9, (tally.seen - seen) * 1e9 / max(1, tally.last_arrival - first)


def study(most: int) -> Study:
    """The study, with at most so many webhooks."""
    return Study(
        name="backlog",
        title="Backlog",
        grows="webhooks",
        metrics=(
            rates.RATE,
            Metric("back", "first one after", "s", 2),
            Metric("taken", "taken", "webhooks", more_is_better=True),
            Metric("rss", "memory, RSS", "MiB", 1),
            rates.MEMORY,
            Metric("written", "written to disk", "MiB", 1),
            rates.LOST,
            rates.REPEATED,
        ),
        plotted=("rate", "pss"),
        steps=tuple(Step("", count, Layout()) for count in COUNTS if count <= most),
        run=run,
        claims=(Claim("A backlog of 1,000,000, of one of 10,000", ("", 1_000_000), ("", 10_000), 0.8),),
    )
