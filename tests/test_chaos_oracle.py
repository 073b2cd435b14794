"""The oracle itself: what it must notice, and what it must let pass."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.oracle import SLOW_SECONDS, UNMARKED, Oracle
from tests.chaos.world import BROKER, SERVICE, Event, routes_for


def events(count: int, *, poison: bool = False) -> list[Event]:
    return [Event(n, "shop" if poison else "door", "s1", poison, 0) for n in range(count)]


def wrote(oracle: Oracle, written: list[Event]) -> None:
    oracle.announce(written)
    oracle.wrote(written)


def settled(count: int, *, poison: bool = False) -> Oracle:
    """An oracle that knows `count` webhooks to be taken."""
    oracle = Oracle()
    wrote(oracle, events(count, poison=poison))
    assert oracle.settle(count) == []
    oracle.safe()
    return oracle


def deliver(oracle: Oracle, *numbers: int) -> None:
    for n in numbers:
        event = oracle.events[n]
        for route in routes_for(event):
            if not route.poison_only:
                payload = b'{"n":%d,"sender":"s1"}' % n if route.rendered else event.body
                oracle.arrive(route.target, route.place_of(event), payload)


def status(**counts: int) -> dict[str, Any]:
    on_disk = {"deliveries": 0, "dead": 0, "quarantine": 0}
    on_disk |= {name: count for name, count in counts.items() if name in on_disk}
    target = dict.fromkeys(("accepted", "delivered", "dead", "expired", "evicted", "pending"), 0)
    target |= {name: count for name, count in counts.items() if name in target and name not in on_disk}
    return {"targets": {BROKER: target}, "on_disk": on_disk, "convicted": []}


def wrong(oracle: Oracle, **counts: int) -> list[str]:
    return oracle.judge(status(**counts)).wrong


def test_all_is_well() -> None:
    oracle = settled(3)
    deliver(oracle, 0, 1, 2)
    verdict = oracle.judge(status())
    assert not verdict.wrong
    assert (verdict.webhooks, verdict.deliveries) == (3, 6)


def test_a_loss() -> None:
    oracle = settled(3)
    deliver(oracle, 0, 2)
    assert wrong(oracle) == ["1 is lost: ring never got it", "1 is lost: all never got it"]


def test_a_duplicate_needs_a_fault() -> None:
    oracle = settled(2)
    deliver(oracle, 0, 1, 1)
    assert wrong(oracle) == [f"{BROKER}: 2 duplicates, faults explain 0"]
    oracle.excuse(BROKER, 1)
    assert wrong(oracle) == [f"{BROKER}: 2 duplicates, faults explain 1"]
    oracle.excuse(BROKER, 1)
    assert not wrong(oracle)


def test_a_fault_of_one_target_explains_nothing_of_another() -> None:
    oracle = settled(1)
    deliver(oracle, 0, 0)
    oracle.excuse(SERVICE, 100)
    assert wrong(oracle)


def test_an_inversion() -> None:
    oracle = settled(3)
    deliver(oracle, 0, 2, 1)
    assert wrong(oracle) == ["ring s1: 1 came after a later one", "all: 1 came after a later one"]


def test_a_repetition_is_no_inversion() -> None:
    oracle = settled(3)
    oracle.excuse(BROKER, 4)
    deliver(oracle, 0, 1, 0, 1, 2)
    assert not wrong(oracle)


def test_the_order_is_that_of_acceptance() -> None:
    oracle = Oracle()
    first, second, third = events(3)
    wrote(oracle, [first, second, third])
    lost = oracle.settle(1)
    assert lost == [second, third]
    wrote(oracle, [third, second])
    oracle.settle(3)
    deliver(oracle, 0, 2, 1)
    assert not wrong(oracle)


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[:-1],
        lambda body: body.replace(b"  ", b" "),
        lambda body: body.replace(b"<", b"\\u003c"),
    ],
)
def test_wrong_bytes(damage: Callable[[bytes], bytes]) -> None:
    oracle = settled(1)
    deliver(oracle, 0)
    oracle.excuse(BROKER, 1)
    oracle.arrive(BROKER, "all", damage(oracle.events[0].body))
    assert "is not what was sent" in wrong(oracle)[0]


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"n": 99}', b"\xff"])
def test_something_that_nobody_sent(payload: bytes) -> None:
    oracle = settled(1)
    deliver(oracle, 0)
    oracle.arrive(BROKER, "all", payload)
    assert "was never to go there" in wrong(oracle)[0]


def test_a_place_of_another_route() -> None:
    oracle = settled(1)
    deliver(oracle, 0)
    oracle.arrive(BROKER, "note", oracle.events[0].body)
    assert "was never to go there" in wrong(oracle)[0]


def test_what_was_lost_on_the_way_in_must_not_arrive() -> None:
    oracle = Oracle()
    wrote(oracle, events(2))
    assert [event.n for event in oracle.settle(1)] == [1]
    deliver(oracle, 0, 1)
    assert "1 arrived at ring, and was never taken" in wrong(oracle)


def test_a_count_that_nobody_can_have() -> None:
    oracle = settled(2)
    with pytest.raises(AssertionError, match="nobody sent"):
        oracle.settle(3)


def test_what_a_killed_process_had_may_arrive_or_not() -> None:
    for arrives in (True, False):
        oracle = Oracle()
        wrote(oracle, events(1))
        assert [event.n for event in oracle.process_ended()] == [0]
        if arrives:
            deliver(oracle, 0)
        assert not wrong(oracle)


def test_what_was_taken_and_not_safe_yet_may_arrive_or_not() -> None:
    oracle = Oracle()
    wrote(oracle, events(1))
    assert oracle.settle(1) == []
    assert [event.n for event in oracle.process_ended()] == [0]
    assert not wrong(oracle)


def test_what_was_safe_must_arrive() -> None:
    oracle = settled(1)
    assert oracle.process_ended() == []
    assert "0 is lost: ring never got it" in wrong(oracle)


def test_a_webhook_sent_again_to_the_next_process_may_arrive_twice() -> None:
    oracle = settled(1)
    deliver(oracle, 0)
    oracle.process_ended()
    wrote(oracle, events(1))
    oracle.settle(1)
    deliver(oracle, 0)
    assert not wrong(oracle)
    deliver(oracle, 0)
    assert wrong(oracle)


def test_one_process_takes_a_webhook_once() -> None:
    oracle = Oracle()
    wrote(oracle, events(1) * 3)
    oracle.settle(3)
    deliver(oracle, 0, 0)
    assert wrong(oracle)


def test_a_crash_explains_what_was_just_delivered() -> None:
    oracle = settled(3)
    deliver(oracle, 0, 1, 2)
    oracle.excuse_crash(BROKER, 0)
    deliver(oracle, 0, 1, 2)
    assert not wrong(oracle)


def test_dead_letters_are_counted() -> None:
    oracle = settled(2, poison=True)
    deliver(oracle, 0, 1)
    assert not wrong(oracle, dead=2)
    for count in (1, 3):
        assert wrong(oracle, dead=count) == [f"{count} dead letters, not 2 to 2"]


@pytest.mark.parametrize("deaths", [2, 3])
def test_what_kills_the_process_may_become_a_dead_letter_and_needs_three_deaths(deaths: int) -> None:
    oracle = settled(2)
    deliver(oracle, 0)
    oracle.arrive(BROKER, "ring/s1", oracle.events[1].body)
    oracle.deaths = deaths
    oracle.may_convict = 1
    found = oracle.judge(status(dead=1) | {"convicted": [("all", 1)]}).wrong
    assert found == ([] if deaths == 3 else ["1 of all is convicted of 2 deaths"])


def test_nothing_is_convicted_in_silence() -> None:
    oracle = settled(2)
    deliver(oracle, 0)
    oracle.arrive(BROKER, "ring/s1", oracle.events[1].body)
    oracle.deaths = 3
    verdict = oracle.judge(status(dead=1) | {"convicted": [("all", 1)]})
    assert verdict.wrong == ["1 convicted, not 0 at most: [('all', 1)]"]
    assert verdict.convicted == 1


def test_deaths_before_a_webhook_came_do_not_convict_it() -> None:
    oracle = Oracle(deaths=2, may_convict=1)
    wrote(oracle, events(1))
    oracle.settle(1)
    oracle.deaths = 4
    found = oracle.judge(status(dead=2) | {"convicted": [("ring", 0), ("all", 0)]}).wrong
    assert found == [
        "0 of all is convicted of 2 deaths",
        "0 of ring is convicted of 2 deaths",
        "2 convicted, not 1 at most: [('all', 0), ('ring', 0)]",
    ]


def test_a_conviction_explains_no_other_loss() -> None:
    oracle = settled(2)
    oracle.deaths = 3
    oracle.may_convict = 1
    deliver(oracle, 0)
    found = oracle.judge(status(dead=1) | {"convicted": [("all", 1)]}).wrong
    assert found == ["1 is lost: ring never got it"]


@pytest.mark.parametrize("left", ["deliveries", "quarantine"])
def test_something_left_in_the_journal(left: str) -> None:
    assert "left in the journal" in wrong(settled(0), **{left: 1})[0]


@pytest.mark.parametrize(
    "counts",
    [{"accepted": 1}, {"delivered": 1}, {"accepted": 1, "pending": 1}, {"accepted": 1, "expired": 1}],
)
def test_sums(counts: dict[str, int]) -> None:
    assert wrong(settled(0), **counts)


def test_a_slow_commit_explains_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("tests.chaos.oracle.time.monotonic", lambda: now)
    oracle = settled(UNMARKED)
    deliver(oracle, *range(UNMARKED))
    now = SLOW_SECONDS / 2
    oracle.excuse_crash(BROKER, 0)
    assert oracle.allowed[BROKER] == UNMARKED
    now = SLOW_SECONDS * 2
    oracle.excuse_crash(BROKER, 0)
    assert oracle.allowed[BROKER] == UNMARKED
