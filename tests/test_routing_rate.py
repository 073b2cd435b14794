"""Rates of routes: never more than they say, never less than could be."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.routing.rate import Bucket, Rate

rates = st.builds(
    Rate,
    limit=st.integers(1, 1000),
    per=st.sampled_from([1.0, 3.0, 60.0, 3600.0]),
    burst=st.integers(1, 50),
)
pauses = st.lists(st.floats(0, 100) | st.just(0.0), max_size=200)
ROUNDING = 1e-6


def granted(rate: Rate, times: list[float]) -> list[float]:
    bucket = Bucket(rate)
    return [now for now in times if bucket.take(now)]


def moments(pauses: list[float], rate: Rate) -> list[float]:
    """Times with these pauses between them, in units of what one webhook takes."""
    now, times = 1e6, []
    for pause in pauses:
        now += pause * rate.per / rate.limit
        times.append(now)
    return times


@given(rates, pauses)
def test_never_more_than_the_burst_and_what_the_time_allows(rate: Rate, pauses: list[float]) -> None:
    went = granted(rate, moments(pauses, rate))
    for first in range(len(went)):
        for last in range(first, len(went)):
            seconds = went[last] - went[first]
            assert last - first + 1 <= rate.burst + seconds * rate.limit / rate.per + ROUNDING


@given(rates, pauses)
def test_never_less(rate: Rate, pauses: list[float]) -> None:
    """Who is refused could not have gone: the burst and all since were used up."""
    times = moments(pauses, rate)
    bucket = Bucket(rate)
    level, before = float(rate.burst), -1e9
    for now in times:
        level = min(rate.burst, level + (now - before) * rate.limit / rate.per)
        before = now
        if bucket.take(now):
            level -= 1
        else:
            assert level < 1 + ROUNDING


@given(rates, st.integers(1, 100))
def test_who_comes_when_told_may_go(rate: Rate, webhooks: int) -> None:
    bucket, now, went = Bucket(rate), 1e6, []
    for _ in range(webhooks):
        if not bucket.take(now):
            turn = bucket.turn(now)
            assert turn > now
            now = turn
            assert bucket.take(now)
        went.append(now)
    least = max(0, webhooks - rate.burst) * rate.per / rate.limit
    assert went[-1] - went[0] == pytest.approx(least, abs=ROUNDING)


def test_those_who_wait_get_a_turn_each() -> None:
    bucket = Bucket(Rate(limit=10, per=1.0, burst=5))
    assert [bucket.take(100.0) for _ in range(6)] == [True] * 5 + [False]
    turns = [bucket.turn(100.0) for _ in range(3)]
    assert turns == pytest.approx([100.1, 100.2, 100.3])
    assert [bucket.take(turn) for turn in turns] == [True, True, True]


def test_many_who_wait_all_go_and_none_asks_much_oftener_than_once() -> None:
    """A thousand lanes of one route: the work is linear, and nobody starves."""
    rate = Rate(limit=100, per=1.0, burst=10)
    bucket, asked = Bucket(rate), 0
    waiting = dict.fromkeys(range(1000), 1000.0)
    while waiting:
        number = min(waiting, key=waiting.__getitem__)
        now = waiting[number]
        asked += 1
        if bucket.take(now):
            del waiting[number]
        else:
            waiting[number] = bucket.turn(now)
    assert asked < 2100
    assert now == pytest.approx(1e3 + 9.9)


def test_time_that_stands_still_ends_no_loop_in_the_same_turn() -> None:
    chance = random.Random(1)
    for _ in range(1000):
        bucket = Bucket(Rate(chance.randint(1, 100_000), 1.0, 1))
        now = chance.uniform(0, 1e9)
        while bucket.take(now):
            pass
        assert bucket.turn(now) > now


def test_in_words() -> None:
    assert str(Rate(10, 60.0, 20)) == "at most 10 in 60 s, 20 at once"
