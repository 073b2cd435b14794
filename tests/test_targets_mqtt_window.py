"""The window of publications in flight."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.targets.mqtt_window import Window

STEPS = st.lists(
    st.tuples(st.just("busy"), st.just(0))
    | st.tuples(st.just("acknowledged"), st.integers(0, 100))
    | st.tuples(st.just("connected"), st.integers(1, 65_535))
)


@given(st.integers(1, 1000), STEPS)
def test_it_never_closes_and_never_passes_its_limits(most: int, steps: list[tuple[str, int]]) -> None:
    window = Window(most, version5=True)
    limit = most
    for step, number in steps:
        match step:
            case "busy":
                before = window.size
                window.busy()
                assert window.size <= max(1, before // 2 + 1)
            case "acknowledged":
                before = window.size
                window.acknowledged(number)
                assert window.size >= before
            case "connected":
                limit = min(most, number)
                window.connected(number)
        assert 1 <= window.size <= limit


def test_it_grows_by_one_for_each_window_full() -> None:
    window = Window(100, version5=True)
    window.busy()
    assert window.size == 50
    window.acknowledged(50)
    assert window.size == 51
    for _ in range(100):
        window.acknowledged(100)
    assert window.size == 100


def test_without_receive_maximum_it_is_twenty() -> None:
    assert Window(100, version5=False).size == 20
    assert Window(5, version5=False).size == 5
