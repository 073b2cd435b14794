"""Rounds: every step of every study in turn, each with a bridge of its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.bench.contenders.bridge import Bridge
from tests.bench.growth.layout import Layout, Traffic
from tests.bench.growth.results import Results, Sample
from tests.bench.growth.studies.base import Step, Study
from tests.bench.measures.base import Lengths
from tests.bench.rig import ContenderFailed, Rig, rig


def play(
    results: Results, rounds: int, lengths: Lengths, core: int | None, tell: Callable[[Sample], None]
) -> None:
    """Take all samples, and tell of each."""
    for number in range(1, rounds + 1):
        for study in results.studies:
            for step in study.steps:
                sample = take(number, study, step, lengths, core)
                results.samples.append(sample)
                tell(sample)


def take(number: int, study: Study, step: Step, lengths: Lengths, core: int | None) -> Sample:
    """One sample."""

    def rig_for(layout: Layout, *, keep: bool = False) -> AbstractContextManager[Rig]:
        return rig(Bridge(layout.routing), core, keep=keep, batch=Traffic(layout).batch)

    try:
        values = study.run(step, rig_for, lengths)
    except ContenderFailed as failure:
        return Sample(number, study.name, step.line, step.x, failure=str(failure))
    return Sample(number, study.name, step.line, step.x, values)
