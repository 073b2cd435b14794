import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.retry import Again, Bury, Retry, decide
from bridge.message import Failure, FailureKind

PATIENCE = Retry(attempts=3, first=1.0, longest=60.0)


def failure(kind: FailureKind, retry_after: float | None = None) -> Failure:
    return Failure(kind, "code", "reason", retry_after)


@pytest.mark.parametrize(
    ("kind", "attempts", "retry_after", "draw", "verdict"),
    [
        (FailureKind.CONNECTION, 0, None, 0.5, Again(0.0, spends=False)),
        (FailureKind.CONNECTION, 99, None, 0.5, Again(0.0, spends=False)),
        (FailureKind.GONE, 99, None, 0.5, Again(0.0, spends=False)),
        (FailureKind.PERMANENT, 0, None, 0.5, Bury("code", "reason")),
        (FailureKind.BUSY, 0, None, 0.0, Again(0.5, spends=True)),
        (FailureKind.BUSY, 1, None, 0.0, Again(1.0, spends=True)),
        (FailureKind.BUSY, 0, 90.0, 0.0, Again(90.0, spends=True)),
        (FailureKind.BUSY, 1, 0.1, 0.0, Again(1.0, spends=True)),
        (FailureKind.BUSY, 2, None, 0.0, Bury("code", "reason (attempt 3 of 3)")),
        (FailureKind.REFUSED, 0, None, 0.0, Again(15.0, spends=True)),
        (FailureKind.REFUSED, 500, None, 0.0, Again(450.0, spends=True)),
    ],
)
def test_the_verdict(
    kind: FailureKind, attempts: int, retry_after: float | None, draw: float, verdict: Again | Bury
) -> None:
    assert decide(failure(kind, retry_after), attempts, PATIENCE, lambda: draw) == verdict


@given(attempts=st.integers(0, 10**6), draw=st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_longer_than_the_longest_nor_shorter_than_half_of_the_first(
    attempts: int, draw: float
) -> None:
    patience = Retry(attempts=10**9, first=0.5, longest=300.0)
    verdict = decide(failure(FailureKind.BUSY), attempts, patience, lambda: draw)
    assert isinstance(verdict, Again)
    assert 0.25 <= verdict.delay <= 300.0
