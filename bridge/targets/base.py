"""The port between the dispatcher and its targets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bridge.message import Delivery, Result


@dataclass(frozen=True, slots=True)
class TargetState:
    """What a target's connection is doing, for people."""

    name: str
    """connecting, up, down, refused or paused."""
    reason: str = ""
    since: float = 0.0
    """Unix time of the last change, in seconds."""


@dataclass(frozen=True, slots=True)
class LastFailure:
    """What went wrong with a target last, of its connection or of a delivery; kept while it is up again."""

    reason: str
    at: float
    """Unix time in seconds."""


class Listener(Protocol):
    """What a target tells its owner. Called on the event loop's thread, never from within `send`."""

    def finished(self, delivery: Delivery, result: Result) -> None:
        """A delivery that was sent has its result; called exactly once for each `send`."""

    def available(self, target: str) -> None:
        """The target's capacity rose from zero (it connected, or its window has room again)."""


class Target(Protocol):
    """A place that deliveries go to.

    `send` is called only while `capacity()` is above zero, starts the delivery and returns at once;
    its result reaches the listener exactly once. A target that is down holds what it was given or
    fails it with `FailureKind.CONNECTION`; it never drops it silently.
    """

    name: str
    lane_window: int
    """Deliveries of one ordered lane that may be in flight at once; above 1 only where the order holds."""

    def capacity(self) -> int:
        """How many more deliveries it takes now; 0 while it is down."""

    def send(self, delivery: Delivery) -> None:
        """Start one delivery."""

    def state(self) -> TargetState:
        """The connection's state."""

    def last_failure(self) -> LastFailure | None:
        """The newest failure since the target was made; None where there was none."""

    async def start(self) -> None:
        """Begin to connect; returns at once."""

    async def close(self, timeout: float) -> None:
        """Finish what is in flight for at most `timeout` seconds, fail the rest, and disconnect."""


WallClock = Callable[[], float]
