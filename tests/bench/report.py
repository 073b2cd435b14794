"""The figures as a Markdown table."""

from collections.abc import Iterable
from typing import Final

from tests.bench.contenders.base import Contender
from tests.bench.measures.base import Measure, Metric
from tests.bench.results import Results

BEGIN: Final = "<!-- figures: written by `make bench ARGS=--publish` -->"
END: Final = "<!-- end of figures -->"


def markdown(results: Results) -> str:
    """Medians of all contenders, each with how many times better the bridge is; failures; the machine."""
    titles = [contender.title for contender in results.contenders]
    lines = [
        f"| median of {rounds(sample.round for sample in results.samples)} | {' | '.join(titles)} |",
        "|---|" + "---:|" * len(titles),
    ]
    for measure in results.measures:
        lines += [_row(results, measure, metric) for metric in measure.metrics]
    lines += ["", "In brackets: how many times better the bridge is; below 1, the other is better.", ""]
    lines += _failures(results)
    lines += [f"- {name}: {value}" for name, value in results.machine.items()]
    return "\n".join(lines) + "\n"


def inserted(document: str, figures: str, markers: tuple[str, str] = (BEGIN, END)) -> str:
    """A document whose part between the two markers is the figures."""
    before, begin, rest = document.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not (begin and end):
        raise ValueError(f"the document lacks {markers[0]} and {markers[1]}")
    return f"{before}{begin}\n\n{figures}\n{end}{after}"


def number(value: float, digits: int) -> str:
    """A figure with thousands separators."""
    return f"{value:,.{digits}f}"


def rounds(numbers: Iterable[int]) -> str:
    """How many there were, by the samples' numbers."""
    count = max(numbers, default=0)
    return f"{count} round{'' if count == 1 else 's'}"


def _row(results: Results, measure: Measure, metric: Metric) -> str:
    cells = [_cell(results, measure, metric, contender) for contender in results.contenders]
    return f"| {metric.title} ({metric.unit}) | {' | '.join(cells)} |"


def _cell(results: Results, measure: Measure, metric: Metric, contender: Contender) -> str:
    value = results.median(measure, metric, contender)
    if value is None:
        return "-"
    ratio = results.ratio(measure, metric, contender)
    shown = number(value, metric.digits)
    return shown if ratio is None else f"{shown} ({ratio:.2f} x)"


def _failures(results: Results) -> list[str]:
    return [
        f"- failed: {one.contender}, {one.measure}, round {one.round}: {one.failure.splitlines()[0]}"
        for one in results.samples
        if one.failure
    ]
