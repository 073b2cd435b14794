"""What a measure is."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from tests.bench.rig import Rig

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a measure."""

    key: str
    title: str
    unit: str
    digits: int = 0
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the phases last, in seconds."""

    warm_up: float = 3.0
    saturated: float = 8.0
    paced: float = 10.0
    idle: float = 15.0


QUICK: Final = Lengths(warm_up=2.0, saturated=4.0, paced=4.0, idle=4.0)


class RigFor(Protocol):
    """Sets the contender up; the options are those of `tests.bench.rig.rig`."""

    def __call__(self, *, http: bool = False, keep: bool = False) -> AbstractContextManager[Rig]:
        """A running rig."""


Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Measure:
    """Takes one contender's figures once."""

    name: str
    metrics: tuple[Metric, ...]
    run: Callable[[RigFor, Lengths], Values]
    """The figures by the metrics' keys."""
