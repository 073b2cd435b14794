"""How many webhooks a second a contender hands on at most, and what each costs.

Outstanding are webhooks sent and not yet seen at the far end. A cap on them keeps a contender that reads
faster than it delivers from drowning; what it leaves unread is back-pressure by TCP.
"""

import time

from tests.bench.measures.base import MIB, Lengths, Measure, Metric, RigFor, Values
from tests.bench.rig import Rig


def saturate(rig: Rig, lengths: Lengths, cap: int) -> Values:
    """Saturate a contender, after a warm-up; its rate, its CPU and its memory then."""
    rig.load.saturate(lengths.warm_up, cap)
    seen, cpu, written = rig.load.tally.seen, rig.process.cpu(), rig.process.written()
    start = time.monotonic()
    rig.load.saturate(lengths.saturated, cap)
    seconds = time.monotonic() - start
    seen, cpu, written = rig.load.tally.seen - seen, rig.process.cpu() - cpu, rig.process.written() - written
    memory = rig.process.memory()
    rig.load.drain(5)
    return {
        "rate": seen / seconds,
        "cpu": 1e6 * cpu / max(1, seen),
        "written": written / max(1, seen),
        "rss": memory.rss / MIB,
        "pss": memory.pss / MIB,
        "lost": rig.load.tally.outstanding,
        "repeated": rig.load.tally.repeated,
    }


def measure(name: str, what: str, cap: int, *, http: bool = False) -> Measure:
    """A saturation with so many webhooks outstanding; `what` begins its titles."""

    def run(rig_for: RigFor, lengths: Lengths) -> Values:
        with rig_for(http=http) as rig:
            return saturate(rig, lengths, cap)

    metrics = (
        Metric("rate", what, "webhooks/s", more_is_better=True),
        Metric("cpu", f"{what}: CPU", "µs/webhook", 1),
        Metric("written", f"{what}: written to disk", "B/webhook"),
        Metric("rss", f"{what}: memory, RSS", "MiB", 1),
        Metric("pss", f"{what}: memory, PSS", "MiB", 1),
        Metric("lost", f"{what}: lost", "webhooks"),
        Metric("repeated", f"{what}: repeated", "webhooks"),
    )
    return Measure(name, metrics, run)


DEEP = measure("saturated", "saturated, 1,000 outstanding", 1000)
SHALLOW = measure("shallow", "saturated, 100 outstanding", 100)
# Node-RED opens a connection for each request that is outstanding.
HTTP = measure("http", "HTTP, 100 outstanding", 100, http=True)
