import random

from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.lane import Lane
from bridge.message import Delivery
from tests.support.deliveries import delivery


def filled(lane: Lane, numbers: range) -> Lane:
    for number in numbers:
        lane.push(delivery(number, order_key=lane.order_key))
    return lane


def test_a_lane_gives_its_deliveries_in_order() -> None:
    lane = filled(Lane("key"), range(3))
    taken = [lane.take(0.0) for _ in range(4)]
    assert [d.seq if d else None for d in taken] == [0, 1, 2, None]
    assert lane.in_flight == 3


def test_a_failed_head_waits_for_its_time_and_holds_back_the_rest() -> None:
    lane = filled(Lane("key"), range(2))
    head = lane.take(0.0)
    assert head is not None
    head.not_before = 5.0
    lane.again(head)
    assert lane.take(4.9) is None
    assert lane.wakes_at() == 5.0
    assert lane.take(5.0) is head


def test_after_a_failure_in_a_window_the_failed_ones_come_again_first_and_in_order() -> None:
    lane = filled(Lane("key"), range(5))
    sent = [lane.take(0.0) for _ in range(4)]
    assert all(sent)
    lane.again(_real(sent[2]))
    lane.settle()
    assert lane.take(0.0) is None, "the others are still in flight"
    lane.again(_real(sent[1]))
    lane.settle()
    assert [_real(lane.take(0.0)).seq for _ in range(3)] == [1, 2, 4]


def test_without_an_order_a_failed_delivery_holds_back_nothing() -> None:
    lane = filled(Lane(None), range(3))
    first = _real(lane.take(0.0))
    first.not_before = 10.0
    lane.again(first)
    assert [_real(lane.take(1.0)).seq for _ in range(2)] == [1, 2]
    assert lane.take(1.0) is None
    assert lane.wakes_at() == 10.0
    assert lane.take(10.0) is first


@given(
    window=st.integers(1, 8), count=st.integers(1, 40), seed=st.integers(0, 2**32), failing=st.floats(0, 0.9)
)
def test_whatever_fails_each_is_delivered_once_and_order_holds_up_to_the_window(
    window: int, count: int, seed: int, failing: float
) -> None:
    rand = random.Random(seed)
    lane = filled(Lane("key"), range(count))
    flying: list[Delivery] = []
    done: list[int] = []
    now = 0.0
    while len(lane):
        while len(flying) < window and (taken := lane.take(now)) is not None:
            assert not flying or taken.seq > flying[-1].seq, "what is in flight together is in order"
            flying.append(taken)
        if not flying:
            now = max(now, _real_time(lane.wakes_at()))
            continue
        result = flying.pop(0)
        if rand.random() < failing:
            result.not_before = now + rand.random()
            lane.again(result)
        else:
            done.append(result.seq)
            lane.settle()
    assert sorted(done) == list(range(count))
    overtaken = [sum(later < seq for later in done[i:]) for i, seq in enumerate(done)]
    assert max(overtaken) < window


def test_discard_done_forgets_what_was_settled_elsewhere() -> None:
    lane = filled(Lane("key"), range(4))
    for waiting in lane.waiting()[1:3]:
        waiting.done = True
    assert lane.discard_done() == 2
    assert [d.seq for d in lane.waiting()] == [0, 3]


def _real(found: Delivery | None) -> Delivery:
    assert found is not None
    return found


def _real_time(found: float | None) -> float:
    assert found is not None
    return found
