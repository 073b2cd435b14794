"""A hundred thousand webhooks while the broker is down: what a contender holds, and what comes of them."""

import time

from tests.bench.measures.base import MIB, Lengths, Measure, Metric, RigFor, Values
from tests.bench.rig import Rig

COUNT = 100_000
TAKE_SECONDS = 120
DRAIN_SECONDS = 20
"""A contender that hands nothing on for so long has nothing more."""


def _run(rig_for: RigFor, _lengths: Lengths) -> Values:
    with rig_for(keep=True) as rig:
        rig.stop_broker()
        rig.load.burst(COUNT, TAKE_SECONDS)
        settle(rig)
        memory, written = rig.process.memory(), rig.process.written()
        start = time.monotonic_ns()
        rig.start_broker()
        rig.load.drain(DRAIN_SECONDS)
        tally = rig.load.tally
        return {
            "taken": tally.sent,
            "rss": memory.rss / MIB,
            "pss": memory.pss / MIB,
            "written": written / MIB,
            "drained": tally.seen * 1e9 / (tally.last_arrival - start) if tally.seen else 0.0,
            "lost": tally.outstanding,
            "repeated": tally.repeated,
        }


def settle(rig: Rig) -> None:
    """Wait until the contender has worked through what the kernel still held for it."""
    deadline = time.monotonic() + 60
    busy = True
    while busy and time.monotonic() < deadline:
        cpu = rig.process.cpu()
        rig.load.rest(1)
        busy = rig.process.cpu() - cpu > 0.1


METRICS = (
    Metric("taken", "backlog: taken", "webhooks", more_is_better=True),
    Metric("rss", "memory with a backlog, RSS", "MiB", 1),
    Metric("pss", "memory with a backlog, PSS", "MiB", 1),
    Metric("written", "backlog: written to disk", "MiB", 1),
    Metric("drained", "backlog: handed on after it", "webhooks/s", more_is_better=True),
    Metric("lost", "backlog: lost", "webhooks"),
    Metric("repeated", "backlog: repeated", "webhooks"),
)
MEASURE = Measure("backlog", METRICS, _run)
