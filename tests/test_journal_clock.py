from dataclasses import dataclass

import pytest

from bridge.journal.clock import PLAUSIBLE, REFRESH, Clock

NOW = PLAUSIBLE + 1e8


@dataclass
class Time:
    """A wall clock and a monotonic clock that go where they are told."""

    wall: float = NOW
    monotonic: float = 1000.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def clock(self, session: int, **known: float) -> Clock:
        offsets = {int(name[1:]): value for name, value in known.items() if name[0] == "o"}
        high_water = known.get("high_water", PLAUSIBLE)
        return Clock(
            wall=lambda: self.wall,
            monotonic=lambda: self.monotonic,
            session=session,
            offsets=offsets,
            high_water=high_water,
        )


def test_no_deadline_stays_none() -> None:
    clock = Time().clock(1)
    assert clock.lifetime(None) is None
    assert clock.deadline(None) is None


def test_in_the_same_session_a_jump_of_the_wall_clock_changes_nothing() -> None:
    time = Time()
    clock = time.clock(1)
    stored = clock.lifetime(1060.0)
    time.wall += 1e7
    assert clock.deadline(stored) == 1060.0


def test_a_restart_counts_the_time_that_went_by() -> None:
    time = Time()
    stored = time.clock(1).lifetime(1000.0 + 3600)
    offset = time.wall - time.monotonic
    after = Time(wall=NOW + 600, monotonic=5.0)  # rebooted, ten minutes later
    assert after.clock(2, o1=offset).deadline(stored) == pytest.approx(5.0 + 3000)


def test_a_clock_that_was_set_after_the_row_was_stored_does_not_age_it() -> None:
    time = Time(wall=NOW - 86_400)  # booted with yesterday's time
    stored = time.clock(1).lifetime(1000.0 + 3600)
    time.wall = NOW
    offset = time.wall - time.monotonic  # recorded once the network had set it
    after = Time(wall=NOW + 60, monotonic=5.0)
    assert after.clock(2, o1=offset).deadline(stored) == pytest.approx(5.0 + 3540)


def test_a_clock_behind_the_high_water_mark_leaves_what_was_left() -> None:
    time = Time()
    stored = time.clock(1).lifetime(1000.0 + 3600)
    after = Time(wall=0.0, monotonic=5.0)  # 1970
    clock = after.clock(2, o1=time.wall - time.monotonic, high_water=NOW)
    assert clock.deadline(stored) == 5.0 + 3600


def test_a_row_of_a_session_whose_clock_was_never_set_keeps_what_was_left() -> None:
    unset = Time(wall=100.0)
    clock = unset.clock(1)
    assert clock.news() == (None, PLAUSIBLE)
    stored = clock.lifetime(1000.0 + 3600)
    assert Time(wall=NOW, monotonic=5.0).clock(2).deadline(stored) == 5.0 + 3600


def test_reading_later_or_after_a_jump_gives_the_same_deadline() -> None:
    time = Time()
    stored = time.clock(1).lifetime(1000.0 + 3600)
    after = Time(wall=NOW + 600, monotonic=5.0)
    clock = after.clock(2, o1=time.wall - time.monotonic)
    first = clock.deadline(stored)
    after.pass_by(30)
    after.wall += 1e6
    assert clock.deadline(stored) == first


def test_now_ignores_jumps_and_the_stamp_is_never_behind_it() -> None:
    time = Time()
    clock = time.clock(1)
    time.pass_by(10)
    time.wall -= 1e6
    assert clock.now() == NOW + 10
    assert clock.stamp() == NOW + 10
    time.wall += 2e6
    assert clock.now() == NOW + 10
    assert clock.stamp() == time.wall


def test_the_clocks_are_recorded_seldom_but_at_once_after_a_jump() -> None:
    time = Time()
    clock = time.clock(1)
    news = clock.news()
    assert news == (NOW - 1000.0, NOW)
    clock.recorded(news)
    time.pass_by(REFRESH / 2)
    assert clock.news() is None
    time.wall += 3600
    jumped = clock.news()
    assert jumped == (NOW - 1000.0 + 3600, time.wall)
    clock.recorded(jumped)
    time.pass_by(REFRESH + 1)
    assert clock.news() is not None
    time.wall = 0.0
    assert clock.news() is None, "a clock that fell back is not believed"
    clock.forget()
    assert clock.news() == (None, jumped[1])
