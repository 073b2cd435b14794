"""The figures of a run: every round's, their medians, and how the bridge compares."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from tests.bench.contenders.base import Contender
from tests.bench.measures.base import Measure, Metric, Values


@dataclass(frozen=True, slots=True)
class Sample:
    """One measure of one contender in one round."""

    round: int
    measure: str
    contender: str
    values: Values = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """All samples of a run, and what is needed to read them."""

    machine: dict[str, str]
    contenders: Sequence[Contender]
    measures: Sequence[Measure]
    samples: list[Sample] = field(default_factory=list)

    def median(self, measure: Measure, metric: Metric, contender: Contender) -> float | None:
        """The median over the rounds that succeeded; None where none did."""
        values = [
            sample.values[metric.key]
            for sample in self.samples
            if (sample.measure, sample.contender) == (measure.name, contender.name) and not sample.failure
        ]
        return median(values) if values else None

    def ratio(self, measure: Measure, metric: Metric, contender: Contender) -> float | None:
        """How many times better the bridge is than a contender; None where that can't be said."""
        bridge = next((one for one in self.contenders if one.name == "bridge"), None)
        if bridge is None or contender.name in ("bridge", "ceiling"):
            return None
        ours = self.median(measure, metric, bridge)
        theirs = self.median(measure, metric, contender)
        if not ours or not theirs:
            return None
        return ours / theirs if metric.more_is_better else theirs / ours

    def as_json(self) -> str:
        """Every sample, and the medians."""
        medians = {
            f"{measure.name}.{metric.key}": {
                contender.name: self.median(measure, metric, contender) for contender in self.contenders
            }
            for measure in self.measures
            for metric in measure.metrics
        }
        samples = [asdict(sample) for sample in self.samples]
        return json.dumps({"machine": self.machine, "medians": medians, "samples": samples}, indent=1) + "\n"
