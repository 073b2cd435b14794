"""The figures as lines, one small panel for each, in SVG written by hand."""

from collections.abc import Iterable
from html import escape
from math import floor, log10
from typing import Final, NamedTuple

from tests.bench.growth.results import Results
from tests.bench.growth.studies.base import Study
from tests.bench.measures.base import Metric
from tests.bench.report import number

WIDTH: Final = 820
COLUMNS: Final = 2
PANEL: Final = WIDTH // COLUMNS
HEIGHT: Final = 250
LEFT, RIGHT, TOP, BOTTOM = 62, 30, 84, 44
"""Room around the lines, in each panel."""
LEGEND: Final = 30
"""Less of it above a single line."""
INSET: Final = 26
"""From the axis' ends to the first and last point."""
LABEL: Final = 14
"""Pixels from one value to the next that stands above it."""
CLOSE: Final = 44
"""Pixels between two points whose values would touch."""
LETTER: Final = 6.2
"""Pixels of one in the legend, roughly."""
ROUND: Final = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Where an axis may end, in powers of ten; half of it is marked, too."""
STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:13px;font-weight:600}"
    ".axis{stroke:#afb8c1;fill:none}.grid{stroke:#eaeef2}polyline{fill:none;stroke-width:2}"
    ".value{paint-order:stroke;stroke:#fff;stroke-width:3px}"
    ".s0{stroke:#1f7a5c}.s1{stroke:#0969da}.s2{stroke:#9a6700}.s3{stroke:#8250df}"
    ".t0{fill:#1f7a5c}.t1{fill:#0969da}.t2{fill:#9a6700}.t3{fill:#8250df}"
    "@media(prefers-color-scheme:dark){text{fill:#d0d7de}.axis{stroke:#57606a}.grid{stroke:#30363d}"
    ".value{stroke:#0d1117}.s0{stroke:#3fb68b}.s1{stroke:#58a6ff}.s2{stroke:#d29922}.s3{stroke:#a371f7}"
    ".t0{fill:#3fb68b}.t1{fill:#58a6ff}.t2{fill:#d29922}.t3{fill:#a371f7}}"
)


class Point(NamedTuple):
    """A median; `line` is its line's place among those of the study."""

    line: int
    x: int
    value: float


class Panel:
    """One metric of one study.

    Args:
        left: pixels, of its corner.
        top: pixels, of its corner.
    """

    def __init__(self, study: Study, metric: Metric, points: list[Point], left: int, top: int) -> None:
        self._study = study
        self._metric = metric
        self._points = points
        self._corner = (left, top)
        self._left, self._top = left + LEFT, top + TOP - (0 if len(study.lines) > 1 else LEGEND)
        self._right, self._bottom = left + PANEL - RIGHT, top + HEIGHT - BOTTOM
        self._highest = _rounded(max((point.value for point in points), default=0.0))
        self._xs = sorted({step.x for step in study.steps})

    def svg(self) -> list[str]:
        """Its elements."""
        lines = [line for one in range(len(self._study.lines)) for line in self._line(one)]
        return [*self._head(), *self._axes(), *lines, *self._values()]

    def _head(self) -> Iterable[str]:
        title = f"{self._study.title}: {self._metric.title}, {self._metric.unit}"
        left, top = self._corner
        yield _text(left + 8, top + 18, title, "title")
        x = left + 8.0
        for place, name in enumerate(filter(None, self._study.lines)):
            yield _text(x, top + 36, f"— {name}", f"t{place}")
            x += LETTER * len(name) + 28

    def _axes(self) -> Iterable[str]:
        for share in (0.5, 1.0):
            y = self._y(self._highest * share)
            yield f'<path class="grid" d="M{self._left} {y:.1f}H{self._right}"/>'
        for share in (0.0, 0.5, 1.0):
            value = number(self._highest * share, self._metric.digits)
            yield _text(self._left - 6, self._y(self._highest * share) + 4, value, anchor="end")
        yield f'<path class="axis" d="M{self._left} {self._bottom}H{self._right}"/>'
        for stack in self._stacks():
            for row, x in enumerate(stack):
                yield f'<path class="axis" d="M{self._x(x):.1f} {self._bottom}v4"/>'
                y = self._bottom + 18 + row * LABEL
                yield _text(self._x(x), y, self._study.show(x), anchor="middle")
        yield _text((self._left + self._right) / 2, self._bottom + 36, self._study.grows, anchor="middle")

    def _line(self, line: int) -> Iterable[str]:
        places = [(self._x(point.x), self._y(point.value)) for point in self._points if point.line == line]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline class="s{line}" points="{corners}"/>'
        for x, y in places:
            yield f'<circle class="t{line}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'

    def _values(self) -> Iterable[str]:
        """Each point's value above it; where points are close to each other, their values are stacked."""
        for stack in self._stacks():
            last = float("inf")
            for point in sorted((one for one in self._points if one.x in stack), key=lambda one: one.value):
                last = min(self._y(point.value) - 8, last - LABEL)
                value = number(point.value, self._metric.digits)
                yield _text(self._x(point.x), last, value, f"value t{point.line}", anchor="middle")

    def _stacks(self) -> list[list[int]]:
        """Every x, together with those that are close to it."""
        stacks = [[self._xs[0]]]
        for x in self._xs[1:]:
            if self._x(x) - self._x(stacks[-1][-1]) < CLOSE:
                stacks[-1].append(x)
            else:
                stacks.append([x])
        return stacks

    def _x(self, x: int) -> float:
        least, most = log10(self._xs[0]), log10(self._xs[-1])
        share = (log10(x) - least) / (most - least) if most > least else 0.5
        return self._left + INSET + share * (self._right - self._left - 2 * INSET)

    def _y(self, value: float) -> float:
        return self._bottom - value / self._highest * (self._bottom - self._top)


def _rounded(value: float) -> float:
    """The next round number; one where there is none."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(factor for factor in ROUND if factor * power >= value) * power


def svg(results: Results) -> str:
    """Two panels of each study, side by side."""
    parts = []
    shown = [(study, key) for study in results.studies for key in study.plotted]
    for place, (study, key) in enumerate(shown):
        row, column = divmod(place, COLUMNS)
        metric = next(one for one in study.metrics if one.key == key)
        panel = Panel(study, metric, _points(results, study, key), column * PANEL, row * HEIGHT)
        parts += panel.svg()
    height = HEIGHT * -(-len(shown) // COLUMNS)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"


def _points(results: Results, study: Study, key: str) -> list[Point]:
    found = ((step, results.median(study, key, step)) for step in study.steps)
    return [Point(study.lines.index(step.line), step.x, value) for step, value in found if value is not None]


def _text(x: float, y: float, content: str, kind: str = "", *, anchor: str = "start") -> str:
    shade = f' class="{kind}"' if kind else ""
    return f'<text{shade} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
