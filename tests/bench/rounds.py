"""Rounds: every measure of every contender in turn, so that a machine that slows down slows all of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from tests.bench.contenders.base import Contender
from tests.bench.measures.base import Lengths, Measure
from tests.bench.results import Results, Sample
from tests.bench.rig import ContenderFailed, Rig, rig

CEILING_MEASURES = ("saturated", "shallow", "latency")
"""What there is to say about the bench itself."""


def play(
    results: Results, rounds: int, lengths: Lengths, core: int | None, tell: Callable[[Sample], None]
) -> None:
    """Take all samples, and tell of each."""
    for number in range(1, rounds + 1):
        for measure in results.measures:
            for contender in _turned(results.contenders, number):
                if contender.name == "ceiling" and measure.name not in CEILING_MEASURES:
                    continue
                sample = _take(number, measure, contender, lengths, core)
                results.samples.append(sample)
                tell(sample)


def _turned(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Another one begins in each round."""
    first = (number - 1) % len(contenders)
    return [*contenders[first:], *contenders[:first]]


def _take(number: int, measure: Measure, contender: Contender, lengths: Lengths, core: int | None) -> Sample:
    def rig_for(*, http: bool = False, keep: bool = False) -> AbstractContextManager[Rig]:
        return rig(contender, core, http=http, keep=keep)

    try:
        values = measure.run(rig_for, lengths)
    except ContenderFailed as failure:
        return Sample(number, measure.name, contender.name, failure=str(failure))
    return Sample(number, measure.name, contender.name, values)
