"""Several subscribers that share a stream."""

from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.selfhosted.counters import Counters
from bridge.selfhosted.history import Frame, Origin
from bridge.selfhosted.hub import Hub
from bridge.selfhosted.resources import Limits, Token
from bridge.selfhosted.subscriber import Subscriber
from tests.support.relay_clients import OTHER, TOKEN, bodies, post, running, settings_of, subscribed
from tests.support.waiting import eventually


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_hub(clock: Clock | None = None, **limits: int) -> Hub:
    made: dict[str, Any] = dict(limits)
    return Hub(Limits(**made), Counters(), clock or Clock())


def join(hub: Hub, *buckets: str, explicit: bool = False) -> Subscriber:
    return hub.subscribe(
        TOKEN, buckets or ("a",), wake=lambda: None, cut=lambda: None, group="g", explicit=explicit
    )


def publish(hub: Hub, *texts: str, bucket: str = "a") -> None:
    for text in texts:
        hub.publish(bucket, text, Origin(id=text))


def taken(member: Subscriber) -> list[str]:
    found: list[Frame] = []
    while batch := member.take(10_000):
        found += batch
    return [one.origin.id for one in found]


def confirm(member: Subscriber) -> None:
    member.received(member.handed, member.written)


def test_each_webhook_goes_to_one_member_in_turn() -> None:
    hub = a_hub()
    members = [join(hub) for _ in range(3)]
    single = hub.subscribe(OTHER, ["a"], wake=lambda: None, cut=lambda: None)
    publish(hub, *"123456")
    assert [taken(one) for one in members] == [["1", "4"], ["2", "5"], ["3", "6"]]
    assert taken(single) == list("123456")


def test_what_a_member_did_not_confirm_goes_to_another_one() -> None:
    hub = a_hub()
    first, second = join(hub), join(hub)
    publish(hub, *"1234")
    assert taken(first) == ["1", "3"]
    hub.unsubscribe(first)
    assert taken(second) == ["2", "4", "1", "3"]
    confirm(second)
    hub.unsubscribe(second)
    assert taken(join(hub)) == []


def test_an_acknowledgement_stands_for_what_was_handed_out_before() -> None:
    hub = a_hub()
    first, second = join(hub, explicit=True), join(hub, explicit=True)
    publish(hub, *"1234")
    hub.unsubscribe(first)
    assert taken(second) == ["2", "4", "1", "3"]
    assert second.acknowledge("1")
    hub.unsubscribe(second)
    assert taken(join(hub)) == ["3"]


def test_a_member_that_does_not_confirm_is_passed_over() -> None:
    hub = a_hub(group_window=2)
    slow, quick = join(hub), join(hub)
    publish(hub, *"1234")
    assert [taken(slow), taken(quick)] == [["1", "3"], ["2", "4"]]
    publish(hub, *"5678")
    confirm(quick)
    assert taken(quick) == ["5", "6"]
    confirm(slow)
    assert taken(slow) == ["7", "8"]


def test_while_nobody_is_there_webhooks_wait_as_long_as_the_history_goes_back() -> None:
    clock = Clock()
    hub = a_hub(clock)
    hub.unsubscribe(join(hub))
    publish(hub, "1")
    clock.now += 500
    publish(hub, "2")
    clock.now += 200
    publish(hub, "3")
    assert taken(join(hub)) == ["2", "3"]


def test_members_get_only_the_buckets_that_they_asked_for() -> None:
    hub = a_hub()
    first, both = join(hub, "a"), join(hub, "a", "b")
    publish(hub, "b1", "b2", bucket="b")
    publish(hub, "a1", "a2")
    assert taken(both)[:2] == ["b1", "b2"]
    assert "a1" in taken(first)
    hub.unsubscribe(both)
    publish(hub, "b3", bucket="b")
    assert "b3" not in taken(first)
    assert "b3" in taken(join(hub, "b"))


def test_a_restarted_relay_goes_on_where_the_group_was() -> None:
    hub = a_hub()
    member = join(hub)
    publish(hub, "1", "2", "3")
    taken(member)
    member.received(1, 1)
    again = a_hub()
    frames = hub.history.after({"a": 0})
    again.restore(frames, [(Token(key), bucket, reached) for key, bucket, reached in hub.readers()], 3, 0.0)
    assert taken(join(again)) == ["2", "3"]


class Sharing(RuleBasedStateMachine):
    """Whatever members do, every webhook is confirmed by somebody, or still on its way to somebody."""

    def __init__(self) -> None:
        super().__init__()
        self.hub = a_hub(group_window=3)
        self.members: list[Subscriber] = []
        self.got: dict[Subscriber, list[str]] = {}
        self.confirmed: list[str] = []
        self.sent = 0

    @rule()
    def come(self) -> None:
        self.members.append(join(self.hub))
        self.got[self.members[-1]] = []

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.members))
        self.members.remove(member)
        self.hub.unsubscribe(member)

    @rule(count=st.integers(1, 5))
    def send(self, count: int) -> None:
        for _ in range(count):
            self.sent += 1
            publish(self.hub, str(self.sent))

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.members))
        self.got[member] += [one.origin.id for one in member.take(data.draw(st.integers(1, 10)))]

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.members))
        self.confirmed += self.got[member][member.settled : member.handed]
        confirm(member)

    @invariant()
    def nobody_confirms_what_another_one_did(self) -> None:
        assert len(set(self.confirmed)) == len(self.confirmed)

    def teardown(self) -> None:
        for member in self.members:
            self.hub.unsubscribe(member)
        if self.sent:
            last = join(self.hub)
            rest = []
            while batch := taken(last):
                rest += batch
                confirm(last)
            assert sorted([*self.confirmed, *rest], key=int) == [str(one + 1) for one in range(self.sent)]


TestSharing = Sharing.TestCase
TestSharing.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)


async def test_three_bridges_share_a_bucket_over_sockets() -> None:
    wishes = {"group": "g", "ack": "explicit"}
    async with running(settings_of("a")) as relay:
        clients = [await subscribed(relay, wishes=wishes) for _ in range(3)]
        await eventually(lambda: relay.subscribers == 3)
        await post(relay, "a", *(str(one) for one in range(9)))
        got = [await bodies(one, 3) for one in clients]
        assert sorted(one for each in got for one in each) == [str(one) for one in range(9)]
        await clients[0].close()
        again = [*await bodies(clients[1], 1), *await bodies(clients[2], 1)]
        assert set(again) <= set(got[0])
        for one in clients[1:]:
            await one.close()


async def test_a_ping_confirms_for_members_that_do_not_acknowledge() -> None:
    async with running(settings_of("a", limits=Limits(confirm=0.01, group_window=1))) as relay:
        client = await subscribed(relay, wishes={"group": "g"})
        await post(relay, "a", "1", "2", "3")
        assert await bodies(client, 3) == ["1", "2", "3"]
        await client.close()
