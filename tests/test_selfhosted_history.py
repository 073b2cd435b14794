from hypothesis import given
from hypothesis import strategies as st

from bridge.selfhosted.history import Frame, History
from bridge.selfhosted.resources import Limits

LIMITS = Limits(history_age=10.0, history_bytes=100, history_frames=8)


def filled(frames: list[Frame]) -> History:
    history = History(LIMITS)
    for frame in frames:
        history.add(frame)
    return history


def test_frames_after_a_position_by_bucket_in_order() -> None:
    frames = [Frame(i, 0.0, "ab"[i % 2], b"x") for i in range(1, 7)]
    history = filled(frames)
    assert history.after({"a": 2}) == [frames[3], frames[5]]
    assert history.after({"a": 0, "b": 4}) == [frames[1], frames[3], frames[4], frames[5]]
    assert history.after({}) == []


def test_old_frames_are_forgotten() -> None:
    history = filled([Frame(1, 0.0, "a", b"x"), Frame(2, 5.0, "a", b"x")])
    history.expire(10.0)
    assert [one.position for one in history.after({"a": 0})] == [1, 2]
    history.expire(10.5)
    assert [one.position for one in history.after({"a": 0})] == [2]


@given(st.lists(st.tuples(st.floats(0.0, 8.0), st.integers(0, 150))))
def test_it_holds_the_newest_frames_within_all_bounds(steps: list[tuple[float, int]]) -> None:
    frames, now = [], 0.0
    for i, (pause, size) in enumerate(steps, 1):
        now += pause
        frames.append(Frame(i, now, "a", b"x" * size))
    kept = filled(frames).after({"a": 0})
    assert kept == frames[len(frames) - len(kept) :]

    def within(some: list[Frame]) -> bool:
        size = sum(len(one.wire) for one in some)
        return len(some) <= 8 and size <= 100 and all(one.arrived >= now - 10.0 for one in some)

    assert within(kept)
    longer = frames[len(frames) - len(kept) - 1 :]
    assert len(kept) == len(frames) or not within(longer)
