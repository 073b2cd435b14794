"""What follows from a failed delivery: pure decisions, no clock and no randomness of their own."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.message import Failure, FailureKind

SLOWEST_REFUSED = 900.0
FASTEST_REFUSED = 30.0


@dataclass(frozen=True, slots=True)
class Retry:
    """A target's patience. Times are seconds."""

    attempts: int = 12
    """Attempts that the target answered before it is a dead letter; connection failures spend none."""
    first: float = 1.0
    longest: float = 300.0


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after `delay` seconds."""

    delay: float
    spends: bool
    """Whether this failure counted as an attempt."""


@dataclass(frozen=True, slots=True)
class Bury:
    """It becomes a dead letter."""

    code: str
    reason: str


Verdict = Again | Bury


def decide(failure: Failure, attempts: int, retry: Retry, random: Callable[[], float]) -> Verdict:
    """The verdict on a delivery that failed.

    Args:
        failure: what the target said.
        attempts: attempts spent before this one.
        retry: the target's patience.
        random: a number in [0, 1).
    """
    match failure.kind:
        case FailureKind.CONNECTION | FailureKind.GONE:
            # The target itself waits (down with its own back-off, or paused): its capacity is zero.
            return Again(0.0, spends=False)
        case FailureKind.PERMANENT:
            return Bury(failure.code, failure.reason)
        case FailureKind.REFUSED:
            return Again(_delay(attempts, FASTEST_REFUSED, SLOWEST_REFUSED, random), spends=True)
        case FailureKind.BUSY:
            if attempts + 1 >= retry.attempts:
                return Bury(failure.code, f"{failure.reason} (attempt {attempts + 1} of {retry.attempts})")
            delay = _delay(attempts, retry.first, retry.longest, random)
            return Again(max(delay, failure.retry_after or 0.0), spends=True)


def _delay(attempts: int, first: float, longest: float, random: Callable[[], float]) -> float:
    """Exponential, its upper half random, so that many clients do not come back at once."""
    ceiling = min(longest, first * 2.0 ** min(attempts, 32))
    return ceiling * (0.5 + random() / 2)
