"""A contender that has nothing to do: how soon it is there, what it holds, and whether it sleeps."""

from tests.bench.measures.base import MIB, Lengths, Measure, Metric, RigFor, Values


def _run(rig_for: RigFor, lengths: Lengths) -> Values:
    with rig_for() as rig:
        rig.load.rest(lengths.warm_up)
        cpu = rig.process.fine_cpu()
        rig.load.rest(lengths.idle)
        cpu = rig.process.fine_cpu() - cpu
        memory = rig.process.memory()
        return {
            "start": rig.start_seconds,
            "rss": memory.rss / MIB,
            "pss": memory.pss / MIB,
            "cpu": 1e3 * cpu / lengths.idle,
        }


METRICS = (
    Metric("start", "start to subscribed", "s", 2),
    Metric("rss", "memory idle, RSS", "MiB", 1),
    Metric("pss", "memory idle, PSS", "MiB", 1),
    Metric("cpu", "CPU idle", "ms/s", 2),
)
MEASURE = Measure("idle", METRICS, _run)
