"""Which routes are asked about a webhook."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.routing.candidates import FEWEST, MOST_CACHED, Asked, Candidates
from bridge.routing.match import Condition, all_of, any_of, compare, concealed, negate
from bridge.webhook import Webhook
from tests.support.deliveries import webhook


def asked(*conditions: Condition, buckets: frozenset[str] | None = None) -> list[Asked]:
    return [Asked(at, buckets, condition) for at, condition in enumerate(conditions)]


def event(name: str) -> Condition:
    return compare("header.X-Event", {"eq": name})


def about(*events: str) -> Webhook:
    return webhook(headers={"x-event": events} if events else {})


EVENTS = [f"event-{number}" for number in range(100)]


def test_of_many_that_compare_a_header_only_those_with_its_value_are_asked() -> None:
    every = all_of([compare("bucket", {"eq": "doorbell"}), compare("method", {"ne": "GET"})])
    both = compare("header.x-event", {"in": ["event-7", "event-8"]})
    candidates = Candidates(asked(*map(event, EVENTS), every, both))
    assert list(candidates.of(about("event-7"))) == [7, 100, 101]
    assert list(candidates.of(about("event-7", "event-3"))) == [3, 7, 100, 101]
    assert list(candidates.of(about("strange"))) == [100]
    assert list(candidates.of(about())) == [100]


def test_a_bucket_has_routes_of_its_own_and_those_of_every_bucket() -> None:
    here, there = frozenset({"doorbell"}), frozenset({"id-of-shop", "other"})
    routes = [
        Asked(0, None, event("a")),
        Asked(1, here, event("a")),
        Asked(2, there, event("a")),
        Asked(3, None, event("b")),
    ]
    candidates = Candidates(routes)
    assert list(candidates.of(webhook(bucket="doorbell", bucket_id=""))) == [0, 1, 3]
    assert list(candidates.of(webhook(bucket="shop", bucket_id="id-of-shop"))) == [0, 2, 3]
    assert list(candidates.of(webhook(bucket="strange", bucket_id=""))) == [0, 3]


def test_many_strange_buckets_do_not_fill_the_memory() -> None:
    candidates = Candidates(asked(event("a"), buckets=frozenset({"doorbell"})))
    for number in range(MOST_CACHED + 100):
        assert not candidates.of(webhook(bucket=f"b{number}", bucket_id=""))
    assert len(candidates._known) <= MOST_CACHED
    assert list(candidates.of(webhook(bucket="doorbell"))) == [0]


@pytest.mark.parametrize(
    "condition",
    [
        compare("header.x-event", {"ne": "a"}),
        compare("header.x-event", {"not_in": ["a"]}),
        compare("header.x-event", {"in": ["a", 5]}),
        compare("header.x-event", {"startswith": "a"}),
        negate(event("a")),
        any_of([event("a"), compare("method", {"eq": "GET"})]),
    ],
)
def test_what_can_hold_for_other_texts_wants_none(condition: Condition) -> None:
    assert condition.texts == {}


def test_what_is_wanted_outlives_that_it_is_secret() -> None:
    condition = concealed(event("s3cret"))
    assert condition.texts == {"header.x-event": frozenset({"s3cret"})}
    assert "s3cret" not in repr(condition)


TEXTS = st.sampled_from(["a", "b", "c"])
OPERANDS = (
    st.builds(lambda text: {"eq": text}, TEXTS)
    | st.builds(lambda texts: {"in": texts}, st.lists(TEXTS | st.just(5), min_size=1, max_size=2))
    | st.builds(lambda text: {"ne": text}, TEXTS)
)
SOURCES = st.sampled_from(["header.x-event", "body.kind", "input", "bucket", "query.q"])
COMPARISONS = st.builds(compare, SOURCES, OPERANDS)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: (
        st.builds(all_of, st.lists(inner, max_size=3))
        | st.builds(any_of, st.lists(inner, min_size=1, max_size=3))
        | st.builds(negate, inner)
    ),
    max_leaves=4,
)
BODIES = st.sampled_from([b'{"kind": "a"}', b'{"kind": ["b"]}', b'{"kind": 5}', b"text", b""])


def hook(events: Sequence[str], body: bytes, given_input: str, input_id: str, query: str) -> Webhook:
    fields: dict[str, Any] = {"input": given_input, "input_id": input_id, "query_string": f"q={query}"}
    return webhook(body, bucket="a", bucket_id="b", headers={"x-event": tuple(events)}, **fields)


HOOKS = st.builds(hook, st.lists(TEXTS, max_size=2), BODIES, TEXTS, TEXTS, TEXTS)


@given(st.lists(CONDITIONS | st.builds(event, TEXTS), min_size=FEWEST, max_size=12), HOOKS)
def test_no_route_that_matches_is_left_out_and_the_order_stays(
    conditions: list[Condition], one: Webhook
) -> None:
    found = list(Candidates(asked(*conditions)).of(one))
    assert found == sorted(set(found))
    assert [at for at in found if conditions[at].test(one)] == [
        at for at, condition in enumerate(conditions) if condition.test(one)
    ]
