import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.relay.gap import OVERLAP, RelayClock, gap_between

TIMES = st.floats(0, 4e9)


def test_the_relays_time_goes_on_by_our_monotonic_clock() -> None:
    clock = RelayClock(1_800_000_000.0, at=10.0)
    assert clock.now(15.0) == 1_800_000_005.0


def test_a_subscription_is_complete_up_to_its_last_message_and_a_margin_that_grows() -> None:
    clock = RelayClock(1_800_000_000.0, at=0.0)
    assert clock.complete(0.0, silence=0.0) == 1_800_000_000.0 - OVERLAP
    assert clock.complete(1000.0, silence=30.0) == 1_800_000_000.0 + 1000.0 - 30.0 - OVERLAP - 1.0


def test_a_gap_begins_where_the_record_ends() -> None:
    gap = gap_between(1_000_000.0, 1_000_500.0, horizon=3600.0)
    assert (gap.start, gap.end, gap.beyond) == (1_000_000.0, 1_000_500.0, 0.0)


def test_a_gap_over_the_horizon_says_how_much_is_left_out() -> None:
    gap = gap_between(1_000_000.0, 1_010_000.0, horizon=3600.0)
    assert (gap.start, gap.end, gap.beyond) == (1_006_400.0, 1_010_000.0, 6400.0)


def test_where_the_relays_clock_was_set_back_the_last_minute_is_asked_for() -> None:
    gap = gap_between(1_010_000.0, 1_000_000.0, horizon=3600.0)
    assert (gap.start, gap.end, gap.beyond) == (1_000_000.0 - OVERLAP, 1_000_000.0, 0.0)


@given(TIMES, TIMES, st.floats(60, 720 * 3600.0))
def test_slices_are_the_whole_gap_in_order(complete: float, now: float, horizon: float) -> None:
    gap = gap_between(complete, now, horizon)
    slices = list(gap.slices())
    assert 1 <= len(slices) <= 24
    assert (slices[0][0], slices[-1][1]) == (gap.start, gap.end)
    assert [end for _, end in slices[:-1]] == [start for start, _ in slices[1:]]
    assert all(start <= end for start, end in slices)
    assert gap.end - gap.start <= max(horizon, OVERLAP) + 1e-3
    assert gap.beyond == pytest.approx(max(0.0, gap.start - complete), abs=1e-3) or complete > now - OVERLAP
