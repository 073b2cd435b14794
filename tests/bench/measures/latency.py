"""How long a webhook takes from the relay to the subscriber, at a steady pace."""

from statistics import median, quantiles

from tests.bench.measures.base import Lengths, Measure, Metric, RigFor, Values
from tests.bench.rig import ContenderFailed, Rig

RATES = (50, 500, 1000, 2000)


def _run(rig_for: RigFor, lengths: Lengths) -> Values:
    with rig_for() as rig:
        return {key: value for rate in RATES for key, value in _at(rig, rate, lengths).items()}


def _at(rig: Rig, rate: int, lengths: Lengths) -> Values:
    rig.load.pace(rate, lengths.warm_up)
    rig.load.drain(5)
    rig.load.tally.restart()
    cpu = rig.process.fine_cpu()
    rig.load.pace(rate, lengths.paced)
    rig.load.drain(5)
    cpu = rig.process.fine_cpu() - cpu
    latencies = [nanoseconds / 1e6 for nanoseconds in rig.load.tally.latencies]
    if len(latencies) < 100:
        raise ContenderFailed(f"only {len(latencies)} webhooks arrived at {rate}/s")
    return {
        f"p50_{rate}": median(latencies),
        f"p99_{rate}": quantiles(latencies, n=100)[98],
        f"cpu_{rate}": 1e6 * cpu / len(latencies),
        f"lost_{rate}": rig.load.tally.outstanding,
    }


def _metrics(rate: int) -> tuple[Metric, ...]:
    return (
        Metric(f"p50_{rate}", f"latency p50 at {rate}/s", "ms", 2),
        Metric(f"p99_{rate}", f"latency p99 at {rate}/s", "ms", 2),
        Metric(f"cpu_{rate}", f"CPU at {rate}/s", "µs/webhook"),
        Metric(f"lost_{rate}", f"lost at {rate}/s", "webhooks"),
    )


MEASURE = Measure("latency", tuple(metric for rate in RATES for metric in _metrics(rate)), _run)
