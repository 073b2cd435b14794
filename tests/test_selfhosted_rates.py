from hypothesis import given
from hypothesis import strategies as st

from bridge.selfhosted.rates import Rates
from bridge.selfhosted.resources import Rate


def test_so_many_at_once_and_then_evenly() -> None:
    rates, rate = Rates(), Rate(3, 6.0)
    assert [rates.wait("a", rate, 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]
    assert rates.wait("b", rate, 100.0) == 0.0
    assert rates.wait("a", rate, 101.0) == 1.0
    assert rates.wait("a", rate, 102.0) == 0.0
    assert rates.wait("a", rate, 102.0) == 2.0


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 5))
def test_never_more_than_twice_the_rate_in_its_time(pauses: list[float], count: int) -> None:
    rates, now, granted = Rates(), 1000.0, []
    for pause in pauses:
        now += pause
        if not rates.wait("a", Rate(count, 5.0), now):
            granted.append(now)
    for moment in granted:
        assert sum(moment <= one < moment + 5.0 for one in granted) <= 2 * count
