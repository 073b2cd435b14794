"""What several studies have in common: the bridge is saturated, with one layout after another."""

from typing import Final

from tests.bench.growth.studies.base import RigFor, Step
from tests.bench.measures.base import Lengths, Metric, Values
from tests.bench.measures.saturated import saturate


def run(step: Step, rig_for: RigFor, lengths: Lengths) -> Values:
    """The figures of a saturation, after each bucket's first webhook, and megabytes of bodies a second."""
    with rig_for(step.layout) as rig:
        rig.load.burst(step.layout.buckets, LIMIT)
        rig.load.drain(LIMIT)
        rig.load.tally.restart()
        values = saturate(rig, lengths, step.layout.outstanding)
        return {**values, "megabytes": values["rate"] * step.layout.body / 1e6}


LIMIT: Final = 30.0
"""Seconds for what should take one or two."""
RATE = Metric("rate", "handed on", "webhooks/s", more_is_better=True)
MEGABYTES = Metric("megabytes", "bodies", "MB/s", 1, more_is_better=True)
CPU = Metric("cpu", "CPU", "µs/webhook")
MEMORY = Metric("pss", "memory, PSS", "MiB", 1)
LOST = Metric("lost", "lost", "webhooks")
REPEATED = Metric("repeated", "repeated", "webhooks")
