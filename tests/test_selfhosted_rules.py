from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.selfhosted.rules import BadRule, Facts, parse_rule, walk
from bridge.selfhosted.webhooks import facts_of

FACTS = facts_of(
    "POST",
    "/sub",
    "a=1&a=2&empty=",
    [("X-GitHub-Event", "push"), ("Content-Type", "application/json")],
    b'{"ref": "refs/heads/main", "commits": [{"id": 7}], "flag": true, "none": null}',
)


def match(source: str, name: str = "", **said: str) -> dict[str, Any]:
    return {"match": {**said, "parameter": {"source": source, "name": name}}}


PUSH = match("header", "x-github-event", type="value", value="push")
TAG = match("payload", "ref", type="regex", regex="^refs/tags/")


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (PUSH, True),
        (TAG, False),
        ({"not": TAG}, True),
        ({"and": [PUSH, TAG]}, False),
        ({"or": [PUSH, TAG]}, True),
        ({"and": [PUSH, {"not": {"or": [TAG, match("method", value="GET")]}}]}, True),
        (match("query", "a", value="1"), True),
        (match("url", "a", value="1"), True),
        (match("query", "empty", value=""), True),
        (match("query", "absent", value=""), False),
        (match("payload", "commits.0.id", value="7"), True),
        (match("payload", "commits.1.id", value="7"), False),
        (match("payload", "flag", value="true"), True),
        (match("payload", "none", value="null"), False),
        (match("raw", type="regex", regex="heads"), True),
        (match("path", value="/sub"), True),
        ({"match": None, "not": TAG, "and": None}, True),
    ],
)
def test_a_rule_allows_what_it_says(rule: dict[str, Any], *, allowed: bool) -> None:
    parsed = parse_rule(rule)
    assert parsed is not None
    assert parsed.allows(FACTS) is allowed
    assert parse_rule(parsed.document()) == parsed


def test_a_form_has_a_payload_too() -> None:
    form = facts_of("POST", "/", "", [("Content-Type", "application/x-www-form-urlencoded")], b"a=1&b=x+y")
    assert form.value("payload", "b") == "x y"


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_rule(nothing: object) -> None:
    assert parse_rule(nothing) is None


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([], "one of and"),
        ({"and": []}, "list of rules"),
        ({"and": [PUSH], "or": [PUSH]}, "one of and"),
        ({"xor": [PUSH]}, "one of and"),
        ({"match": "x"}, "an object"),
        (match("header", "x", type="regex", regex="("), "match.regex"),
        (match("header", "x", type="regex", regex="a" * 501), "longer than"),
        (match("header"), "the name of a header"),
        (match("cookie", "x"), "one of header"),
        (match("raw", type="hmac"), "value or regex"),
        ({"match": {"value": 5, "parameter": {"source": "raw"}}}, "text is needed"),
        ({"and": [PUSH] * 101}, "more than 100"),
    ],
)
def test_what_is_no_rule(said: object, problem: str) -> None:
    with pytest.raises(BadRule, match=problem):
        parse_rule(said)


def test_a_rule_that_is_nested_too_deeply() -> None:
    rule = PUSH
    for _ in range(11):
        rule = {"not": rule}
    with pytest.raises(BadRule, match="too deeply"):
        parse_rule(rule)


@given(
    st.binary(max_size=60),
    st.sampled_from(["header", "query", "payload", "raw", "path"]),
    st.text(max_size=9),
)
def test_any_request_can_be_asked(body: bytes, source: str, name: str) -> None:
    facts = Facts("POST", "/", body.decode("latin-1"), {"A": ["b"]}, body)
    found = facts.value(source, name)
    assert found is None or isinstance(found, str)


@given(
    st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_a_path_leads_into_any_value(value: Any) -> None:
    assert walk({"a": [value]}, "a.0") == value
    assert walk({"a": [value]}, "a.1") is None
