"""The broker restarts while webhooks come: how many are lost, and how many come twice."""

from tests.bench.measures.base import Lengths, Measure, Metric, RigFor, Values

RATE = 200
DOWN_SECONDS = 3.0
PATIENCE = 20.0
"""Seconds without an arrival after which nothing more is expected; the slowest reconnects after 5."""


def _run(rig_for: RigFor, lengths: Lengths) -> Values:
    with rig_for(keep=True) as rig:
        rig.load.pace(RATE, lengths.warm_up)
        rig.stop_broker()
        rig.load.pace(RATE, DOWN_SECONDS)
        rig.start_broker()
        rig.load.pace(RATE, lengths.paced)
        rig.load.drain(PATIENCE)
        return {"lost": rig.load.tally.outstanding, "repeated": rig.load.tally.repeated}


METRICS = (
    Metric("lost", f"broker down {DOWN_SECONDS:g} s at {RATE}/s: lost", "webhooks"),
    Metric("repeated", f"broker down {DOWN_SECONDS:g} s at {RATE}/s: repeated", "webhooks"),
)
MEASURE = Measure("outage", METRICS, _run)
