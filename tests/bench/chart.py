"""The figures that matter most as bars, in SVG written by hand."""

from html import escape
from typing import Final

from tests.bench.measures.base import Measure, Metric
from tests.bench.report import number
from tests.bench.results import Results

SHOWN: Final = (  # by measure and metric
    "saturated.rate",
    "saturated.cpu",
    "latency.p99_500",
    "idle.pss",
    "backlog.pss",
    "outage.lost",
)
WIDTH: Final = 820
LABEL: Final = 250
BAR: Final = WIDTH - LABEL - 110
ROW: Final = 22
STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}"
    ".bar{fill:#9aa7b5}.bar.bridge{fill:#1f7a5c}"
    "@media(prefers-color-scheme:dark){text{fill:#d0d7de}}"
)


def svg(results: Results) -> str:
    """One group of bars for each shown figure that was taken."""
    groups, height = [], 10
    for measure in results.measures:
        for metric in measure.metrics:
            if f"{measure.name}.{metric.key}" in SHOWN:
                group, rows = _group(results, measure, metric, height)
                groups.append(group)
                height += ROW * (rows + 2)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return "\n".join([head, f"<style>{STYLE}</style>", *groups, "</svg>"]) + "\n"


def _group(results: Results, measure: Measure, metric: Metric, top: int) -> tuple[str, int]:
    """The bars of one figure, and how many there are."""
    found = {contender: results.median(measure, metric, contender) for contender in results.contenders}
    values = {contender: value for contender, value in found.items() if value is not None}
    longest = max(values.values(), default=0.0) or 1.0
    better = "more is better" if metric.more_is_better else "less is better"
    title = f"{metric.title}, {metric.unit} ({better})"
    parts = [f'<text class="title" x="0" y="{top + 16}">{escape(title)}</text>']
    for row, (contender, value) in enumerate(values.items(), start=1):
        y = top + ROW * row
        end = LABEL + BAR * value / longest
        shade = "bar bridge" if contender.name == "bridge" else "bar"
        parts += [
            f'<text x="{LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(contender.title)}</text>',
            f'<rect class="{shade}" x="{LABEL}" y="{y + 4}" width="{end - LABEL:.1f}" height="{ROW - 6}"/>',
            f'<text x="{end + 6:.1f}" y="{y + 16}">{number(value, metric.digits)}</text>',
        ]
    return "\n".join(parts), len(values)
