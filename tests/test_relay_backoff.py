"""The waits between attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.relay.backoff import Backoff, Ending


def longest() -> Backoff:
    return Backoff(lambda: 1.0)


def test_the_ceiling_doubles_up_to_a_minute() -> None:
    backoff = longest()
    assert [backoff.after(Ending.LOST) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 3000))
def test_jitter_covers_the_whole_range(chance: float, losses: int) -> None:
    backoff = Backoff(lambda: chance)
    for _ in range(losses):
        backoff.after(Ending.LOST)
    assert backoff.after(Ending.LOST) == chance * min(60.0, 2.0 ** min(losses, 6))


def test_only_a_minute_of_subscription_is_a_recovery() -> None:
    backoff = longest()
    for _ in range(5):
        backoff.after(Ending.LOST)
        backoff.subscribed_for(59.9)
    assert backoff.after(Ending.LOST) == 32
    backoff.subscribed_for(60.0)
    assert backoff.after(Ending.LOST) == 1


def test_refused_credentials_are_tried_slowly() -> None:
    backoff = longest()
    assert [backoff.after(Ending.REFUSED) for _ in range(7)] == [30, 60, 120, 240, 480, 900, 900]
    backoff.subscribed_for(1.0)
    assert backoff.after(Ending.REFUSED) == 30


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 1.0), (120.0, 120.0), (1e9, 86_400.0)])
def test_the_relay_may_ask_for_more(asked: float, waited: float) -> None:
    assert longest().after(Ending.LOST, asked) == waited


def test_a_malformed_message_that_comes_again_and_again_is_an_alarm() -> None:
    backoff = Backoff(lambda: 0.0)
    assert [backoff.after(Ending.MALFORMED) for _ in range(2)] == [0, 0]
    assert not backoff.alarm
    assert [backoff.after(Ending.MALFORMED) for _ in range(2)] == [60, 60]
    assert backoff.alarm
    backoff.subscribed_for(5.0)
    assert backoff.alarm
    backoff.subscribed_for(61.0)
    assert not backoff.alarm
    assert backoff.after(Ending.MALFORMED) == 0
