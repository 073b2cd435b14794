from bridge.console.history import MINUTES, MOST_ROUTES, History
from bridge.counters import RouteCounts


def test_the_current_minute_is_the_last_bar() -> None:
    counts = {"ring": RouteCounts()}
    history = History(counts)
    counts["ring"].matched = 3
    assert history.minutes()["ring"]["matched"] == [0] * (MINUTES - 1) + [3]
    history.turn()
    counts["ring"].matched, counts["ring"].dead = 5, 1
    assert history.minutes()["ring"] == {
        "matched": [0] * (MINUTES - 2) + [3, 2],
        "dead": [0] * (MINUTES - 1) + [1],
    }


def test_an_hour_is_remembered_and_no_more() -> None:
    counts = {"ring": RouteCounts()}
    history = History(counts)
    for minute in range(1, 200):
        counts["ring"].matched += minute
        history.turn()
    bars = history.minutes()["ring"]["matched"]
    assert bars == [*range(141, 200), 0]
    assert len(bars) == MINUTES


def test_a_route_that_comes_later_begins_with_nothing() -> None:
    counts = {"ring": RouteCounts(matched=1)}
    history = History(counts)
    history.turn()
    counts["meter"] = RouteCounts(matched=2)
    assert history.minutes()["meter"]["matched"] == [0] * (MINUTES - 1) + [2]


def test_routes_are_bounded() -> None:
    counts = {f"route-{number}": RouteCounts() for number in range(MOST_ROUTES + 5)}
    history = History(counts)
    history.turn()
    assert list(history.minutes()) == list(counts)[:MOST_ROUTES]
