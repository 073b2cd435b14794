"""Bytes written to disk for each webhook: an SD card wears out."""

from tests.bench.measures.base import Lengths, Measure, Metric, RigFor, Values
from tests.bench.rig import Rig

HEALTHY_RATE = 500
DOWN_RATE = 100


def _run(rig_for: RigFor, lengths: Lengths) -> Values:
    with rig_for(keep=True) as rig:
        rig.load.rest(lengths.warm_up)
        healthy = _written_each(rig, HEALTHY_RATE, lengths.paced)
        rig.stop_broker()
        down = _written_each(rig, DOWN_RATE, lengths.paced)
        return {"healthy": healthy, "down": down}


def _written_each(rig: Rig, rate: int, seconds: float) -> float:
    written, sent = rig.process.written(), rig.load.tally.sent
    rig.load.pace(rate, seconds)
    rig.load.rest(1)
    return (rig.process.written() - written) / (rig.load.tally.sent - sent)


METRICS = (
    Metric("healthy", f"written to disk, at {HEALTHY_RATE}/s", "B/webhook"),
    Metric("down", f"written to disk, broker down, at {DOWN_RATE}/s", "B/webhook"),
)
MEASURE = Measure("disk", METRICS, _run)
