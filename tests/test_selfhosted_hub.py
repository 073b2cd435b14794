import json
from dataclasses import dataclass, field

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge.selfhosted.counters import Counters
from bridge.selfhosted.history import Origin
from bridge.selfhosted.hub import Hub
from bridge.selfhosted.resources import Limits
from bridge.selfhosted.subscriber import Subscriber
from tests.support.relay_clients import OTHER, TOKEN

ENOUGH = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_hub(clock: Clock | None = None, **limits: float) -> Hub:
    made = Limits(**limits)  # type: ignore[arg-type]  # each test knows the type of its limit
    return Hub(made, Counters(), clock or Clock())


def join(hub: Hub, *buckets: str, token: object = TOKEN) -> Subscriber:
    assert token in (TOKEN, OTHER)
    chosen = TOKEN if token is TOKEN else OTHER
    return hub.subscribe(chosen, buckets, wake=lambda: None, cut=lambda: None)


def taken(subscriber: Subscriber) -> list[str]:
    found: list[str] = []
    while batch := subscriber.take(ENOUGH):
        found += [frame.wire[2:].decode() for frame in batch]
    return found


def confirm(subscriber: Subscriber) -> None:
    subscriber.received(subscriber.handed, subscriber.written)


def test_every_subscriber_of_a_bucket_gets_every_frame_in_order() -> None:
    hub = a_hub()
    first, second, elsewhere = join(hub, "a"), join(hub, "a", "b"), join(hub, "c")
    for bucket, text in (("a", "1"), ("b", "2"), ("a", "3")):
        hub.publish(bucket, text)
    assert taken(first) == ["1", "3"]
    assert taken(second) == ["1", "2", "3"]
    assert taken(elsewhere) == []


def test_a_subscriber_is_woken_for_each_frame() -> None:
    hub, woken = a_hub(), []
    hub.subscribe(TOKEN, ["a"], wake=lambda: woken.append(1), cut=lambda: None)
    hub.publish("a", "1")
    hub.publish("b", "2")
    assert woken == [1]


def test_a_batch_ends_when_there_is_enough() -> None:
    hub = a_hub()
    subscriber = join(hub, "a")
    for i in range(5):
        hub.publish("a", str(i))
    assert [len(subscriber.take(6)) for _ in range(4)] == [2, 2, 1, 0]


def test_what_came_while_nobody_was_there_is_waiting() -> None:
    hub = a_hub()
    hub.publish("a", "1")
    hub.publish("b", "2")
    assert taken(join(hub, "a")) == ["1"]


def test_a_returning_subscriber_gets_what_it_missed_and_nothing_else() -> None:
    hub = a_hub()
    subscriber = join(hub, "a")
    hub.publish("a", "1")
    assert taken(subscriber) == ["1"]
    confirm(subscriber)
    hub.unsubscribe(subscriber)
    hub.publish("a", "2")
    again = join(hub, "a")
    hub.publish("a", "3")
    assert taken(again) == ["2", "3"]


def test_what_was_queued_or_written_but_not_confirmed_counts_as_missed() -> None:
    hub = a_hub()
    subscriber = join(hub, "a")
    for text in ("1", "2", "3"):
        hub.publish("a", text)
    subscriber.take(1)
    confirm(subscriber)
    subscriber.take(1)
    hub.unsubscribe(subscriber)
    assert taken(join(hub, "a")) == ["2", "3"]


def test_a_dead_connection_that_nobody_noticed_does_not_hide_what_was_missed() -> None:
    hub = a_hub()
    dead = join(hub, "a")
    hub.publish("a", "1")
    assert taken(dead) == ["1"]
    assert taken(join(hub, "a")) == ["1"]


def test_a_changed_set_of_buckets_loses_and_repeats_nothing() -> None:
    hub = a_hub()
    subscriber = join(hub, "a")
    hub.publish("a", "1")
    hub.publish("b", "2")
    taken(subscriber)
    confirm(subscriber)
    hub.unsubscribe(subscriber)
    hub.publish("a", "3")
    assert taken(join(hub, "a", "b")) == ["2", "3"]


def test_tokens_do_not_affect_each_other() -> None:
    hub = a_hub()
    first = join(hub, "a")
    hub.publish("a", "1")
    taken(first)
    confirm(first)
    hub.unsubscribe(first)
    assert taken(join(hub, "a", token=OTHER)) == ["1"]
    assert taken(join(hub, "a")) == []


def test_of_two_connections_each_finds_its_place_again() -> None:
    hub = a_hub()
    slow, fast = join(hub, "a"), join(hub, "a")
    hub.publish("a", "1")
    hub.publish("a", "2")
    slow.take(1)
    taken(fast)
    confirm(slow)
    confirm(fast)
    hub.unsubscribe(slow)
    hub.unsubscribe(fast)
    returned = join(hub, "a")
    assert taken(returned) == ["2"]
    confirm(returned)
    assert taken(join(hub, "a")) == ["2"]


def test_a_connection_that_left_long_ago_is_forgotten() -> None:
    clock = Clock()
    hub = a_hub(clock, history_age=600.0)
    once, steady = join(hub, "a"), join(hub, "a")
    hub.unsubscribe(once)
    for minute in range(12):
        clock.now += 60.0
        hub.publish("a", str(minute))
    taken(steady)
    confirm(steady)
    hub.unsubscribe(steady)
    assert taken(join(hub, "a")) == []


def test_only_ten_minutes_are_sent_again() -> None:
    clock = Clock()
    hub = a_hub(clock)
    hub.publish("a", "old")
    clock.now += 400.0
    hub.publish("a", "new")
    clock.now += 201.0
    assert taken(join(hub, "a")) == ["new"]


def test_a_slow_subscriber_is_cut_once_and_the_others_go_on() -> None:
    counters, cut = Counters(), []
    hub = Hub(Limits(queue_frames=3), counters)
    slow = hub.subscribe(TOKEN, ["a"], wake=lambda: None, cut=lambda: cut.append(1))
    other = join(hub, "a")
    for i in range(6):
        hub.publish("a", str(i))
        assert taken(other) == [str(i)]
    assert (cut, counters.cut_subscribers) == ([1], 1)
    assert taken(slow) == []
    hub.unsubscribe(slow)
    assert taken(join(hub, "a", token=OTHER)) == ["0", "1", "2", "3", "4", "5"]


def test_the_queue_is_bounded_in_bytes_but_takes_any_single_frame() -> None:
    hub, cut = a_hub(queue_bytes=100), []
    subscriber = hub.subscribe(TOKEN, ["a"], wake=lambda: None, cut=lambda: cut.append(1))
    hub.publish("a", "x" * 500)
    assert len(subscriber.take(ENOUGH)) == 1
    hub.publish("a", "x" * 60)
    assert cut == []
    hub.publish("a", "x" * 60)
    assert cut == [1]


def test_a_backlog_larger_than_the_queue_cuts_nobody() -> None:
    hub, cut = a_hub(queue_frames=2), []
    for i in range(10):
        hub.publish("a", str(i))
    subscriber = hub.subscribe(TOKEN, ["a"], wake=lambda: None, cut=lambda: cut.append(1))
    hub.publish("a", "10")
    hub.publish("a", "11")
    assert taken(subscriber) == [str(i) for i in range(12)]
    assert cut == []


@dataclass
class Client:
    """A subscriber that leaves and returns; it knows what it received."""

    subscriber: Subscriber | None
    received: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    """Written to it, but nobody knows yet whether it arrived."""


class ComingAndGoing(RuleBasedStateMachine):
    """Clients that share a token lose nothing, however they leave and return, and see frames in order."""

    def __init__(self) -> None:
        super().__init__()
        self.hub = a_hub()
        self.published: list[str] = []
        self.clients = [Client(join(self.hub, "a")) for _ in range(3)]

    @rule()
    def publish(self) -> None:
        text = json.dumps(len(self.published))
        self.published.append(text)
        self.hub.publish("a", text)

    @rule(i=st.integers(0, 2), arrives=st.booleans(), pong=st.booleans())
    def write(self, i: int, arrives: bool, pong: bool) -> None:
        client = self.clients[i]
        if client.subscriber is None:
            return
        texts = [one.wire[2:].decode() for one in client.subscriber.take(3)]
        assert texts == sorted(texts, key=int)
        client.unsure |= set(texts)
        if arrives:
            client.received |= client.unsure
            client.unsure.clear()
            if pong:
                confirm(client.subscriber)

    @rule(i=st.integers(0, 2))
    def come(self, i: int) -> None:
        if self.clients[i].subscriber is None:
            self.clients[i].subscriber = join(self.hub, "a")

    @rule(i=st.integers(0, 2))
    def go(self, i: int) -> None:
        client = self.clients[i]
        if client.subscriber is not None:
            self.hub.unsubscribe(client.subscriber)
            client.subscriber = None
            client.unsure.clear()

    @invariant()
    def nothing_is_lost(self) -> None:
        """What a client lacks is on its way to it, if it is there."""
        for client in self.clients:
            if client.subscriber is not None:
                queued = [*client.subscriber._backlog, *client.subscriber._queue]
                waiting = {one.wire[2:].decode() for one in queued}
                assert client.received | client.unsure | waiting == set(self.published)


ComingAndGoing.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
test_coming_and_going = ComingAndGoing.TestCase


# Subscribers that acknowledge


def send(hub: Hub, bucket: str, *names: str) -> None:
    for name in names:
        hub.publish(bucket, name, Origin(id=name))


def join_explicitly(hub: Hub, *buckets: str, resume: str = "") -> Subscriber:
    return hub.subscribe(TOKEN, buckets, wake=lambda: None, cut=lambda: None, explicit=True, resume=resume)


def test_what_was_written_and_not_acknowledged_comes_again() -> None:
    hub = a_hub()
    first = join_explicitly(hub, "a")
    send(hub, "a", "1", "2", "3", "4")
    assert taken(first) == ["1", "2", "3", "4"]
    assert first.acknowledge("2")
    assert not first.acknowledge("1")  # it was acknowledged with the second
    assert not first.acknowledge("unknown")
    hub.unsubscribe(first)
    assert taken(join_explicitly(hub, "a")) == ["3", "4"]


def test_a_subscriber_that_owes_too_many_acknowledgements_gets_no_more_until_it_pays() -> None:
    woken: list[int] = []
    hub = a_hub(unacknowledged=2)
    subscriber = hub.subscribe(TOKEN, ["a"], wake=lambda: woken.append(1), cut=lambda: None, explicit=True)
    send(hub, "a", "1", "2", "3")
    assert [frame.origin.id for frame in subscriber.take(1)] == ["1"]
    assert [frame.origin.id for frame in subscriber.take(1)] == ["2"]
    assert subscriber.take(1) == []
    before = len(woken)
    assert subscriber.acknowledge("2")
    assert len(woken) == before + 1
    assert taken(subscriber) == ["3"]


def test_of_several_connections_of_a_token_each_goes_on_where_it_was() -> None:
    hub = a_hub()
    ahead, behind = join_explicitly(hub, "a"), join_explicitly(hub, "a")
    send(hub, "a", "1", "2", "3")
    taken(ahead), taken(behind)
    ahead.acknowledge("3")
    behind.acknowledge("1")
    hub.unsubscribe(ahead)
    assert taken(join_explicitly(hub, "a", resume="3")) == []
    assert taken(join_explicitly(hub, "a")) == ["2", "3"]


def test_a_resume_does_not_count_for_a_bucket_where_nobody_was() -> None:
    hub = a_hub()
    first = join_explicitly(hub, "a")
    send(hub, "b", "1")
    send(hub, "a", "2")
    taken(first)
    first.acknowledge("2")
    hub.unsubscribe(first)
    assert taken(join_explicitly(hub, "a", "b", resume="2")) == ["1"]
    assert taken(join_explicitly(hub, "a", resume="unknown")) == []


def test_what_a_relay_knew_goes_on_after_its_restart() -> None:
    clock = Clock()
    hub = a_hub(clock, history_age=600.0)
    first = join(hub, "a")
    for name in "123":
        hub.publish("a", name, Origin(id=name, created=5000.0))
    taken(first)
    first.confirmed = 2
    readers = [(TOKEN, bucket, position) for _, bucket, position in hub.readers()]
    frames = hub.history.after({"a": 0})
    later = a_hub(clock, history_age=600.0)
    later.restore(frames, readers, 7, wall=5000.0 + 300.0)
    assert later.reached("a") == 2
    assert later.publish("a", "4").position == 8
    clock.now += 299.0
    assert taken(join(later, "a")) == ["3", "4"]
    clock.now += 2.0  # ten minutes since the first three came
    assert taken(join(later, "a", token=OTHER)) == ["4"]
