from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.message import HttpRequest, MqttMessage
from bridge.routing.items import HttpItem, Item, MqttItem
from bridge.routing.match import Mismatch, all_of, compare
from bridge.routing.table import MOST_CACHED, NO_ORDER, Plan, Route, Routed, RouteTable, RouteTrace, Verdict
from bridge.routing.template import Place, compile_template
from tests.support.deliveries import webhook


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
    assert first == Plan(
        "r", "mqtt:home", "r", MqttMessage("a/doorbell", content_type="application/json"), None, 5.0
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
    traces = {trace.route: trace for trace in table.explain(hook)}
    assert traces["off"] == RouteTrace("off", Verdict.DISABLED)
    assert traces["other"].mismatch == Mismatch("bucket", "eq", "other", ("doorbell", hook.bucket_id))
    assert traces["quiet"].mismatch == Mismatch("when", "is true", "{{ body.n > 9 }}", (False,))
    assert traces["broken"].verdict is Verdict.FAILED
    assert str(traces["broken"].error) == "body.none is missing"
    assert traces["hit"].plans == table.route(hook).plans
    assert traces["late"] == RouteTrace("late", Verdict.NOT_REACHED)


def test_explain_tells_what_becomes_of_an_unmatched_webhook() -> None:
    table = RouteTable([], (mqtt("lost"),))
    (trace,) = table.explain(webhook())
    assert trace.route == "unmatched"
    assert trace.plans == table.route(webhook()).plans


def test_many_strange_buckets_do_not_fill_the_memory() -> None:
    table = RouteTable([route("r", bucket="doorbell"), route("any")])
    for number in range(3 * MOST_CACHED):
        assert table.route(webhook(bucket=f"b{number}", bucket_id="")).matched == ("any",)
    assert len(table._candidates) <= MOST_CACHED
    assert table.route(webhook()).matched == ("r", "any")


NAMES = st.sampled_from(["", "a", "b", "c"])
ROUTES = st.builds(
    route,
    st.sampled_from(["r1", "r2", "r3"]),
    bucket=st.none() | st.sampled_from(["a", "b", "c"]),
    when=st.none() | st.sampled_from(["{{ method == 'POST' }}", "{{ body.x }}"]),
    final=st.booleans(),
    enabled=st.booleans(),
    order=st.sampled_from([None, NO_ORDER, order("{{ body.x }}")]),
)
HOOKS = st.builds(
    lambda bucket, bucket_id, method, body: webhook(body, bucket=bucket, bucket_id=bucket_id, method=method),
    NAMES,
    NAMES,
    st.sampled_from(["POST", "GET"]),
    st.sampled_from([b"{}", b'{"x": 1}', b"text"]),
)


def unindexed(table: RouteTable) -> RouteTable:
    """The same table, its routes tried one after the other."""
    return RouteTable(
        [
            Route(
                name=r.name, condition=r.condition, items=r.items, buckets=None,
                when=r.when, order=r.order, final=r.final, enabled=r.enabled,
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
        traces = table.explain(hook)
        assert routed.matched == tuple(t.route for t in traces if t.verdict is Verdict.MATCHED)
        assert shown(routed.plans) == shown(tuple(plan for trace in traces for plan in trace.plans))
