from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConditionError, RenderError
from bridge.routing.match import Condition, Mismatch, all_of, any_of, compare, holds, negate
from bridge.routing.scope import Scope
from bridge.routing.template import Place, compile_template
from tests.support.deliveries import webhook

HOOK = webhook(
    b'{"n": 5, "z": null, "l": ["a"]}',
    headers={"x-event": ("push", "tag"), "content-type": ("application/json",)},
    query_string="q=1&q=2",
)


@pytest.mark.parametrize(
    ("source", "operators", "expected"),
    [
        ("bucket", {"eq": "doorbell"}, True),
        ("bucket", {"eq": "1593fe5f-45f9-45cc-ba23-675fdc7c1638"}, True),
        ("bucket", {"in": ["other", "doorbell"]}, True),
        ("bucket", {"ne": "doorbell"}, False),
        ("bucket", {"ne": "1593fe5f-45f9-45cc-ba23-675fdc7c1638"}, False),
        ("bucket", {"ne": "other"}, True),
        ("input", {"eq": "b90f2fe9-621d-4290-9e74-edd5b61325dd"}, True),
        ("header.X-EVENT", {"eq": "tag"}, True),
        ("header.x-event", {"eq": "Tag"}, False),
        ("header.x-event", {"ne": "tag"}, False),
        ("header.x-event", {"not_in": ["tag", "other"]}, False),
        ("header.x-event", {"not_in": ["other"]}, True),
        ("query.q", {"eq": "2"}, True),
        ("query.q", {"eq": 2}, False),
        ("query.q", {"gt": 1}, False),
        ("body.n", {"gt": 4, "lt": 6}, True),
        ("body.n", {"gt": 4, "lt": 5}, False),
        ("body.n", {"eq": "5"}, False),
        ("body.l", {"contains": "a"}, True),
        ("body.z", {"eq": None}, True),
        ("body.z", {"exists": True}, True),
        ("body.z", {"exists": False}, False),
        ("bucket", {}, True),
    ],
)
def test_compare(source: str, operators: dict[str, Any], expected: bool) -> None:
    assert compare(source, operators).test(HOOK) is expected


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        ({"exists": False}, True),
        ({"ne": "a"}, True),
        ({"ne": None}, True),
        ({"not_in": ["a", None]}, True),
        ({"exists": True}, False),
        ({"eq": None}, False),
        ({"eq": ""}, False),
        ({"in": [None, ""]}, False),
        ({"lt": 1}, False),
        ({"glob": "*"}, False),
        ({"regex": ""}, False),
        ({"contains": ""}, False),
    ],
)
def test_a_missing_value(operators: dict[str, Any], expected: bool) -> None:
    for source in ("body.none", "header.x-none", "query.none", "form.none"):
        assert compare(source, operators).test(HOOK) is expected


@pytest.mark.parametrize(
    ("source", "operators", "words"),
    [
        ("bucket", {"equals": "x"}, "unknown operator 'equals'"),
        ("bucket", {"startwith": "x"}, "did you mean 'startswith'"),
        ("body.x", {"exists": "yes"}, "'exists' is true or false"),
        ("buckets", {"eq": "x"}, "did you mean 'bucket'"),
        ("body.x", {"eq": ["a"]}, "use a list"),
    ],
)
def test_mistakes(source: str, operators: dict[str, Any], words: str) -> None:
    with pytest.raises(ConditionError, match=words):
        compare(source, operators)


YES, NO = compare("body.n", {"eq": 5}), compare("body.n", {"eq": 6})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (all_of([]), True),
        (any_of([]), False),
        (all_of([YES, NO]), False),
        (all_of([YES, YES]), True),
        (any_of([NO, YES]), True),
        (any_of([NO, NO]), False),
        (negate(NO), True),
        (negate(all_of([YES, NO])), True),
        (negate(any_of([])), True),
    ],
)
def test_combinations(condition: Condition, expected: bool) -> None:
    assert condition.test(HOOK) is expected
    assert (condition.failure(HOOK) is None) is expected


@pytest.mark.parametrize(
    ("condition", "mismatch"),
    [
        (NO, Mismatch("body.n", "eq", 6, (5,))),
        (compare("body.none", {"eq": 6}), Mismatch("body.none", "eq", 6, ())),
        (compare("body.n", {"gt": 1, "lt": 3}), Mismatch("body.n", "lt", 3, (5,))),
        (all_of([YES, NO, compare("bucket", {"eq": "x"})]), Mismatch("body.n", "eq", 6, (5,))),
        (negate(all_of([YES])), Mismatch("body.n", "not eq", 5, (5,))),
        (negate(any_of([NO, YES])), Mismatch("body.n", "not eq", 5, (5,))),
        (compare("header.x-event", {"eq": "x"}), Mismatch("header.x-event", "eq", "x", ("push", "tag"))),
        (
            any_of([NO, compare("query.q", {"eq": "3"})]),
            Mismatch("body.n, query.q", "any", (6, "3"), (5, "1", "2")),
        ),
    ],
)
def test_the_comparison_that_failed_is_told(condition: Condition, mismatch: Mismatch) -> None:
    assert condition.failure(HOOK) == mismatch


LEAVES = st.builds(
    lambda source, operator, expected: compare(source, {operator: expected}),
    st.sampled_from(["body.a", "body.b[0]", "header.x", "query.q", "bucket", "path", "form.f"]),
    st.sampled_from(["eq", "ne"]),
    st.sampled_from([None, True, 1, "1", "a", ""]),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(all_of) | st.lists(inner, max_size=3).map(any_of) | inner.map(negate)
    ),
    max_leaves=6,
)


@given(
    CONDITIONS, st.binary(max_size=20) | st.sampled_from([b'{"a": 1, "b": ["a"]}', b"f=a", b"[1]"]), st.text()
)
def test_no_webhook_makes_a_condition_raise(condition: Condition, body: bytes, text: str) -> None:
    form = "application/x-www-form-urlencoded"
    hook = webhook(body, headers={"x": (text,), "content-type": (form,)}, query_string=text, destination=text)
    held = condition.test(hook)
    assert (condition.failure(hook) is None) is held
    assert negate(condition).test(hook) is not held
    assert isinstance(condition.describe(hook), Mismatch)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("{{ body.n > 4 }}", True),
        ("{{ body.n > 5 }}", False),
        ("{{ body.z }}", False),
        ("{{ body.l }}", True),
        ("{{ [] }}", False),
        ("{{ 0 }}", False),
        ("{{ body.n }}", True),
        ("{{ 'false' }}", False),
        ("{{ 'Off' }}", False),
        ("{{ '0' }}", False),
        ("{{ ' no ' }}", False),
        ("{{ 'on' }}", True),
        ("{{ '' }}", False),
        ("{% if body.n == 5 %} true {% endif %}", True),
        ("{% if body.n == 6 %} true {% endif %}", False),
        ("{{ body.n == 5 }} ", True),
    ],
)
def test_when(when: str, expected: bool) -> None:
    assert holds(compile_template(when, Place.VALUE), Scope(HOOK, "r")) is expected


def test_a_when_that_fails_raises() -> None:
    with pytest.raises(RenderError):
        holds(compile_template("{{ body.none > 1 }}", Place.VALUE), Scope(HOOK, "r"))
