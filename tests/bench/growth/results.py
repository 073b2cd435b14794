"""The figures of a run: every round's, and their medians."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from tests.bench.growth.studies.base import Claim, Step, Study
from tests.bench.measures.base import Values


@dataclass(frozen=True, slots=True)
class Sample:
    """One step of a study in one round."""

    round: int
    study: str
    line: str
    x: int
    values: Values = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """All samples of a run, and what is needed to read them."""

    machine: dict[str, str]
    studies: Sequence[Study]
    samples: list[Sample] = field(default_factory=list)

    def median(self, study: Study, key: str, step: Step) -> float | None:
        """The median of a metric over the rounds that succeeded; None where none did."""
        values = [
            sample.values[key]
            for sample in self.samples
            if (sample.study, sample.line, sample.x) == (study.name, step.line, step.x) and not sample.failure
        ]
        return median(values) if values else None

    def kept(self, study: Study, claim: Claim) -> float | None:
        """Which share of the one step's rate the other keeps; None where one of them was not taken."""
        large, small = self._rate(study, claim.large), self._rate(study, claim.small)
        return large / small if large is not None and small else None

    def _rate(self, study: Study, place: tuple[str, int]) -> float | None:
        step = study.step(place)
        return None if step is None else self.median(study, "rate", step)

    def as_json(self) -> str:
        """Every sample, the medians, and what is kept."""
        medians = [
            {"study": study.name, "line": step.line, "x": step.x, **self._medians(study, step)}
            for study in self.studies
            for step in study.steps
        ]
        kept = {claim.text: self.kept(study, claim) for study in self.studies for claim in study.claims}
        samples = [asdict(sample) for sample in self.samples]
        content = {"machine": self.machine, "kept": kept, "medians": medians, "samples": samples}
        return json.dumps(content, indent=1) + "\n"

    def _medians(self, study: Study, step: Step) -> dict[str, float | None]:
        return {metric.key: self.median(study, metric.key, step) for metric in study.metrics}
