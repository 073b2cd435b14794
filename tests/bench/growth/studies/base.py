"""What a study is: one figure after another while one thing grows."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from tests.bench.growth.layout import Layout
from tests.bench.measures.base import Lengths, Metric, Values
from tests.bench.rig import Rig


@dataclass(frozen=True, slots=True)
class Step:
    """One point of a line."""

    line: str
    """Which one; "" where there is but one."""
    x: int
    layout: Layout


class RigFor(Protocol):
    """Sets the bridge up with a layout's routing file and webhooks."""

    def __call__(self, layout: Layout, *, keep: bool = False) -> AbstractContextManager[Rig]:
        """A running rig; `keep`: the broker will be restarted."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What must be true of the metric `rate`: a large step keeps a share of a small one's."""

    text: str
    large: tuple[str, int]
    """Line and x."""
    small: tuple[str, int]
    least: float | None = None
    """The share; None: there is no claim, only a figure."""


@dataclass(frozen=True, slots=True)
class Study:
    """Takes the figures of each of its steps once."""

    name: str
    title: str
    grows: str
    """What x counts."""
    metrics: tuple[Metric, ...]
    plotted: tuple[str, ...]
    """Keys of metrics, each a panel of the plot."""
    steps: tuple[Step, ...]
    run: Callable[[Step, RigFor, Lengths], Values]
    """The figures by the metrics' keys."""
    claims: tuple[Claim, ...] = ()
    show: Callable[[int], str] = "{:,}".format
    """x as a reader wants it."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The names of its lines."""
        return tuple(dict.fromkeys(step.line for step in self.steps))

    def step(self, place: tuple[str, int]) -> Step | None:
        """The one with this line and x, if it is taken."""
        return next((step for step in self.steps if (step.line, step.x) == place), None)
