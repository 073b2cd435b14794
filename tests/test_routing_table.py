from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.message import HttpRequest, MqttMessage
from bridge.routing.items import HttpItem, Item, MqttItem
from bridge.routing.match import Mismatch, all_of, compare
from bridge.routing.table import NO_ORDER, Plan, Route, Routed, RouteTable
from bridge.routing.template import Place, compile_template
from bridge.routing.trace import RouteTrace, Verdict, explain
from bridge.secret import Secret
from bridge.verify.keys import Claim
from bridge.verify.replay import ReplayCache
from bridge.verify.schemes import Token
from bridge.verify.verifier import Verifier
from bridge.webhook import Webhook
from tests.support.deliveries import webhook
from tests.support.signatures import VECTORS


def mqtt(topic: str = "a/{{ bucket }}", **fields: Any) -> MqttItem:
    return MqttItem("mqtt:home", compile_template(topic, Place.TOPIC), **fields)


def route(
    name: str, *items: Item, bucket: str | None = None, when: str | None = None, **fields: Any
) -> Route:
    return Route(
        name=name,
        condition=all_of([]) if bucket is None else compare("bucket", {"eq": bucket}),
        buckets=None if bucket is None else frozenset({bucket}),
        items=items or (mqtt(),),
        when=None if when is None else compile_template(when, Place.VALUE),
        **fields,
    )


def order(source: str) -> Any:
    return compile_template(source, Place.TEXT)


def topics(routed: Routed) -> list[str]:
    return [plan.message.topic for plan in routed.plans if isinstance(plan.message, MqttMessage)]


def test_every_route_that_matches_delivers_in_order() -> None:
    table = RouteTable(
        [
            route("one", mqtt("one/a"), mqtt("one/b"), bucket="doorbell"),
            route("other", mqtt("other"), bucket="other"),
            route("any", mqtt("any")),
        ]
    )
    routed = table.route(webhook())
    assert routed.matched == ("one", "any")
    assert topics(routed) == ["one/a", "one/b", "any"]
    assert routed.failures == ()


def test_a_plan_says_all_that_a_delivery_needs() -> None:
    http = HttpItem("http:x", compile_template("http://x/", Place.URL), expire_after=60.0)
    routed = RouteTable([route("r", mqtt(expire_after=5.0), http)]).route(webhook())
    first, second = routed.plans
    assert first[:6] == (
        *("r", "mqtt:home", "r"),
        *(MqttMessage("a/doorbell", content_type="application/json"), None, 5.0),
    )
    assert isinstance(second.message, HttpRequest)
    assert (second.target, second.expire_after) == ("http:x", 60.0)


def test_a_route_is_found_by_the_bucket_s_id() -> None:
    hook = webhook()
    assert RouteTable([route("r", bucket=hook.bucket_id)]).route(hook).matched == ("r",)


def test_final_ends_the_search_only_where_it_matched() -> None:
    table = RouteTable(
        [
            route("skipped", final=True, bucket="other"),
            route("false", final=True, when="{{ false }}"),
            route("failing", final=True, when="{{ body.none }}"),
            route("last", final=True),
            route("never"),
        ]
    )
    routed = table.route(webhook())
    assert routed.matched == ("last",)
    assert [name for name, _ in routed.failures] == ["failing"]


def test_disabled_routes_are_not_there() -> None:
    table = RouteTable([route("off", enabled=False), route("on", bucket="doorbell")])
    assert table.route(webhook()).matched == ("on",)
    assert table.buckets == frozenset({"doorbell"})


def test_a_when_that_fails_is_told_and_does_not_match() -> None:
    routed = RouteTable([route("r", when="{{ body.none > 1 }}")]).route(webhook())
    assert routed.matched == ()
    assert [(name, "none" in str(error)) for name, error in routed.failures] == [("r", True)]


def test_a_template_that_fails_costs_its_own_delivery_only() -> None:
    routed = RouteTable([route("r", mqtt("a/{{ body.none }}"), mqtt("b")), route("s", mqtt("c"))]).route(
        webhook()
    )
    failed = routed.plans[0]
    assert failed.message is None
    assert str(failed.error) == "body.none is missing"
    assert (failed.route, failed.target, failed.order_key) == ("r", "mqtt:home", "r")
    assert topics(routed) == ["b", "c"]
    assert routed.matched == ("r", "s")


@pytest.mark.parametrize(
    ("given_order", "key"),
    [
        (None, "r"),
        (NO_ORDER, None),
        (order("{{ body.k }}"), "x"),
        (order("all"), "all"),
        (order("{{ body.n }}"), "5"),
    ],
)
def test_order_keys(given_order: Any, key: str | None) -> None:
    routed = RouteTable([route("r", order=given_order)]).route(webhook(b'{"k": "x", "n": 5}'))
    assert [plan.order_key for plan in routed.plans] == [key]


def test_a_long_order_key_is_hashed() -> None:
    table = RouteTable([route("r", order=order("{{ header.k }}"))])

    def key(text: str) -> str:
        (plan,) = table.route(webhook(headers={"k": (text,)})).plans
        assert plan.order_key is not None
        return plan.order_key

    assert key("x" * 128) == "x" * 128
    assert key("x" * 129) == key("x" * 129) != key("x" * 130)
    assert len(key("x" * 1_000_000)) == 64
    assert len(key("\ud800" * 200)) == 64


def test_an_order_that_fails_fails_each_delivery_of_its_route() -> None:
    routed = RouteTable([route("r", mqtt("a"), mqtt("b"), order=order("{{ body.none }}"))]).route(webhook())
    assert [str(plan.error) for plan in routed.plans] == ["body.none is missing"] * 2
    assert routed.matched == ("r",)


def test_unmatched_is_counted_by_default() -> None:
    assert RouteTable([route("r", bucket="other")]).route(webhook()) == Routed((), (), ())


def test_unmatched_as_dead_letters() -> None:
    (plan,) = RouteTable([], "dead").route(webhook()).plans
    assert (plan.route, plan.target, plan.message) == ("unmatched", "unmatched", None)
    assert str(plan.error) == "no route matched"


def test_unmatched_sent_somewhere() -> None:
    table = RouteTable([route("r", bucket="other")], (mqtt("lost/{{ bucket }}/{{ route }}"),))
    routed = table.route(webhook())
    assert routed.matched == ()
    assert topics(routed) == ["lost/doorbell/unmatched"]
    assert topics(table.route(webhook(bucket="other"))) == ["a/other"]


# Verifiers


class Counting(Token):
    """A scheme that counts how often it is asked."""

    asked: ClassVar[list[str]] = []

    def claim(self, webhook: Webhook) -> Claim:
        self.asked.append(webhook.id)
        return super().claim(webhook)


def gate(name: str = "gate", scheme: Token | None = None) -> Verifier:
    return Verifier(name, scheme or Token(), [Secret("s3cr3t")], window=None, refuse_replays=False)


GENUINE = webhook(headers={"authorization": ("Bearer s3cr3t",)})


def test_a_route_sends_only_what_its_verifier_accepts_and_hinders_no_other() -> None:
    table = RouteTable([route("gated", mqtt("gated"), verifier=gate()), route("open", mqtt("open"))])
    routed = table.route(GENUINE)
    assert (topics(routed), routed.rejected) == (["gated", "open"], ())
    assert [verifier.name for verifier, _ in routed.verified] == ["gate"]
    routed = table.route(webhook())
    assert (topics(routed), routed.matched, routed.verified) == (["open"], ("open",), ())
    assert [(name, rejected.code) for name, rejected in routed.rejected] == [("gated", "missing-header")]


def test_what_a_verifier_refused_is_not_unmatched() -> None:
    for table in (
        RouteTable([route("gated", verifier=gate())], "dead"),
        RouteTable([route("gated", verifier=gate())], (mqtt("lost"),)),
    ):
        assert table.route(webhook()).plans == ()
        assert [trace.route for trace in explain(table, webhook())] == ["gated"]


def test_a_route_that_does_not_match_rejects_nothing() -> None:
    routed = RouteTable([route("gated", bucket="other", verifier=gate())], "dead").route(webhook())
    assert routed.rejected == ()
    assert [plan.target for plan in routed.plans] == ["unmatched"]


def test_what_a_final_route_refused_falls_through_to_none() -> None:
    table = RouteTable([route("gated", verifier=gate(), final=True), route("open")])
    assert table.route(webhook()).plans == ()
    assert table.route(GENUINE).matched == ("gated",)
    verdicts = [trace.verdict for trace in explain(table, webhook())]
    assert verdicts == [Verdict.REJECTED, Verdict.NOT_REACHED]


def test_no_template_sees_what_is_not_verified() -> None:
    fails = order("{{ body.none }}")
    gated = route(
        "gated", mqtt("a/{{ body.none }}"), verifier=gate(), when="{{ body.none }}", order=fails, dedupe=fails
    )
    routed = RouteTable([gated]).route(webhook())
    assert (routed.failures, routed.plans) == ((), ())
    assert len(routed.rejected) == 1


def test_a_verifier_is_asked_once_however_many_routes_name_it() -> None:
    Counting.asked.clear()
    one, other = gate("one", Counting()), gate("other", Counting())
    table = RouteTable([route(name, verifier=by) for name, by in (("a", one), ("b", other), ("c", one))])
    routed = table.route(GENUINE)
    assert routed.matched == ("a", "b", "c")
    assert [verifier.name for verifier, _ in routed.verified] == ["one", "other"]
    assert len(Counting.asked) == 2
    assert table.route(webhook()).matched == ()
    assert len(Counting.asked) == 4


def test_the_clock_and_what_was_accepted_decide() -> None:
    vector = VECTORS["slack"]
    verifier = vector.verifier(refuse_replays=True)
    table, replays = RouteTable([route("gated", verifier=verifier)]), ReplayCache()
    hook, copy = vector.webhook(id="log-1"), vector.webhook(id="log-2")
    assert table.route(hook, vector.clock(301.0), replays).rejected[0][1].code == "too-old"
    routed = table.route(hook, vector.clock(), replays)
    assert routed.matched == ("gated",)
    for by, verdict in routed.verified:
        by.accepted(hook, verdict, replays)
    assert table.route(copy, vector.clock(), replays).rejected[0][1].code == "replayed"
    assert table.route(hook, vector.clock(), replays).matched == ("gated",)
    assert table.route(copy).matched == ("gated",), "a dry run judges neither age nor repetition"


def test_explain_tells_why_a_verifier_refused() -> None:
    (trace,) = explain(RouteTable([route("gated", verifier=gate())]), webhook())
    assert trace.verdict is Verdict.REJECTED
    assert trace.rejection is not None
    assert trace.rejection.reason == "there is no header authorization"


# Deduplication


def test_each_item_has_a_scope_that_outlives_edits_of_the_others() -> None:
    def scopes(*items: Item, name: str = "r") -> list[str]:
        return [plan.scope for plan in RouteTable([route(name, *items)]).route(webhook()).plans]

    one, two = mqtt("a"), mqtt("b")
    assert scopes(two, one) == scopes(one, two)[::-1]
    assert len({*scopes(one, one, two), *scopes(one, name="s")}) == 4
    assert all(scopes(one, two))


def test_a_dedupe_key_goes_with_every_plan_of_its_route() -> None:
    table = RouteTable([route("r", mqtt("a"), mqtt("b"), dedupe=order("{{ body.k }}")), route("s")])
    assert [plan.dedupe for plan in table.route(webhook(b'{"k": "x"}')).plans] == ["x", "x", None]
    assert [plan.dedupe for plan in table.route(webhook(b'{"k": ""}')).plans] == [None] * 3


def test_a_dedupe_key_that_fails_fails_each_delivery_of_its_route() -> None:
    routed = RouteTable([route("r", mqtt("a"), mqtt("b"), dedupe=order("{{ body.k }}"))]).route(webhook())
    assert [str(plan.error) for plan in routed.plans] == ["body.k is missing"] * 2
    assert all(plan.scope and plan.dedupe is None for plan in routed.plans)


def test_buckets_are_those_that_routes_name() -> None:
    assert RouteTable([]).buckets == frozenset()
    assert RouteTable([route("a", bucket="a"), route("b", bucket="b")]).buckets == frozenset({"a", "b"})
    assert RouteTable([route("a", bucket="a"), route("any")]).buckets is None


def test_explain() -> None:
    table = RouteTable(
        [
            route("off", enabled=False),
            route("other", bucket="other"),
            route("quiet", when="{{ body.n > 9 }}"),
            route("broken", when="{{ body.none }}"),
            route("hit", final=True),
            route("late"),
        ]
    )
    hook = webhook(b'{"n": 5}')
    traces = {trace.route: trace for trace in explain(table, hook)}
    assert traces["off"] == RouteTrace("off", Verdict.DISABLED)
    assert traces["other"].mismatch == Mismatch("bucket", "eq", "other", ("doorbell", hook.bucket_id))
    assert traces["quiet"].mismatch == Mismatch("when", "is true", "{{ body.n > 9 }}", (False,))
    assert traces["broken"].verdict is Verdict.FAILED
    assert str(traces["broken"].error) == "body.none is missing"
    assert traces["hit"].plans == table.route(hook).plans
    assert traces["late"] == RouteTrace("late", Verdict.NOT_REACHED)


def test_explain_tells_what_becomes_of_an_unmatched_webhook() -> None:
    table = RouteTable([], (mqtt("lost"),))
    (trace,) = explain(table, webhook())
    assert trace.route == "unmatched"
    assert trace.plans == table.route(webhook()).plans


NAMES = st.sampled_from(["", "a", "b", "c"])
ROUTES = st.builds(
    route,
    st.sampled_from(["r1", "r2", "r3"]),
    bucket=st.none() | st.sampled_from(["a", "b", "c"]),
    when=st.none() | st.sampled_from(["{{ method == 'POST' }}", "{{ body.x }}"]),
    final=st.booleans(),
    enabled=st.booleans(),
    order=st.sampled_from([None, NO_ORDER, order("{{ body.x }}")]),
    verifier=st.none() | st.sampled_from([gate(), gate("other")]),
)
HOOKS = st.builds(
    lambda bucket, bucket_id, method, body, headers: webhook(
        body, bucket=bucket, bucket_id=bucket_id, method=method, headers=headers
    ),
    NAMES,
    NAMES,
    st.sampled_from(["POST", "GET"]),
    st.sampled_from([b"{}", b'{"x": 1}', b"text"]),
    st.sampled_from([{}, GENUINE.headers]),
)


def unindexed(table: RouteTable) -> RouteTable:
    """The same table, its routes tried one after the other."""
    return RouteTable(
        [
            Route(
                name=r.name, condition=replace(r.condition, texts={}), items=r.items, buckets=None,
                verifier=r.verifier, when=r.when, order=r.order, final=r.final, enabled=r.enabled,
            )
            for r in table.routes
        ]
    )  # fmt: skip


def shown(plans: tuple[Plan, ...]) -> list[tuple[object, ...]]:
    return [(*plan[:4], str(plan.error), plan.expire_after) for plan in plans]


@given(st.lists(ROUTES, max_size=6), st.lists(HOOKS, max_size=6))
def test_the_index_changes_nothing_and_explain_agrees(routes: list[Route], hooks: list[Any]) -> None:
    table = RouteTable(routes)
    for hook in hooks:
        routed, linear = table.route(hook), unindexed(table).route(hook)
        assert routed.matched == linear.matched
        assert shown(routed.plans) == shown(linear.plans)
        assert [name for name, _ in routed.failures] == [name for name, _ in linear.failures]
        assert routed.rejected == linear.rejected
        traces = explain(table, hook)
        assert routed.matched == tuple(t.route for t in traces if t.verdict is Verdict.MATCHED)
        assert [n for n, _ in routed.rejected] == [t.route for t in traces if t.verdict is Verdict.REJECTED]
        assert shown(routed.plans) == shown(tuple(plan for trace in traces for plan in trace.plans))
