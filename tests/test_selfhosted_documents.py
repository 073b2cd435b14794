"""Documents and what they stand for, both ways."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.secret import Secret
from bridge.selfhosted.documents import (
    bucket_document,
    bucket_from,
    token_document,
    token_from,
)
from bridge.selfhosted.fields import BadResource
from bridge.selfhosted.resources import ANY_OUTPUT, Auth, Bucket, Input, Output, Rate, Token
from bridge.selfhosted.rules import parse_rule

RULE = parse_rule({"match": {"value": "1", "parameter": {"source": "query", "name": "a"}}})
FULL = Bucket(
    "b",
    "bucket-1",
    (
        Input(
            "i",
            "input-1",
            202,
            "{{ id }}",
            (("X", "1"), ("X", "2")),
            "in",
            2.5,
            True,
            "h.org",
            "/p",
            Rate(9, 60.0),
        ),
        Input("j", "input-2", response_from_output=ANY_OUTPUT),
    ),
    (
        Output("in", "http://localhost:1880/x", True, "output-1", True, (("A", "b"),), RULE, True, 5.0, 0),
        Output("out", "https://example.org", internal=False, id="output-2"),
    ),
    auth=Auth("user", Secret("s3cr3t")),
    description="d",
    created=5,
    updated=6,
)


def test_a_bucket_with_all_there_is_comes_back() -> None:
    assert bucket_from(bucket_document(FULL, secrets=True)) == FULL


def test_what_the_interface_shows_has_no_secret() -> None:
    assert "s3cr3t" not in repr(bucket_document(FULL))
    assert bucket_document(FULL)["auth"] == {"type": "basic", "username": "user"}
    assert "hash" not in token_document(Token("k", hash="$2b$"))


def test_a_token_comes_back_with_all_but_a_secret() -> None:
    token = Token(
        "k", hash="$2b$x", description="d", buckets=frozenset({"a"}), api=False, active=False, created=7
    )
    found = token_from(token_document(token, secrets=True))
    assert token_document(found, secrets=True) == token_document(token, secrets=True)
    assert found.buckets == frozenset({"a"})


def test_what_real_clients_write() -> None:
    """Fields as zero values, null, and headers as text."""
    document: dict[str, Any] = {
        "name": "b",
        "id": "x",
        "auth": {"type": "AuthTypeNone", "username": ""},
        "inputs": [
            {"name": "i", "id": "y", "status_code": 0, "headers": {"A": "b"}, "function_id": "", "body": None}
        ],
        "outputs": [
            {"name": "o", "id": "z", "destination": "http://h", "timeout": 0, "retries": -1, "rules": None}
        ],
        "stream": True,
    }
    bucket = bucket_from(document)
    assert bucket.auth is None
    assert bucket.inputs == (Input("i", "y", headers=(("A", "b"),)),)
    assert bucket.outputs == (Output("o", "http://h", id="z"),)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": ""}, "name: a name has"),
        ({"id": "a b"}, "id: an ID has"),
        ({"inputs": {}}, "inputs: a list"),
        ({"inputs": [1]}, "inputs.0: a JSON object"),
        ({"inputs": [{"name": "i", "id": "x", "status_code": True}]}, "inputs.0.status_code: a whole number"),
        (
            {"inputs": [{"name": "i", "id": "x", "status_code": 99}]},
            "inputs.0.status_code: a number from 200",
        ),
        ({"inputs": [{"name": "i", "id": "x", "body": "x", "status_code": 204}]}, "has no body"),
        ({"inputs": [{"name": "i", "id": "x", "body": "{{ x }}", "template": True}]}, "inputs.0.body"),
        ({"inputs": [{"name": "i", "id": "x", "headers": {"A": 1}}]}, "headers: a header's value"),
        ({"inputs": [{"name": "i", "id": "x", "headers": {"A": "b\r\nc: d"}}]}, "a header can't hold this"),
        ({"inputs": [{"name": "i", "id": "x", "response_from_output": "?"}]}, "the ID of an output"),
        ({"inputs": [{"name": "i", "id": "x", "timeout": 11}]}, "seconds, up to 10"),
        ({"inputs": [{"name": "i", "id": "x"}, {"name": "i", "id": "y"}]}, "a name is there twice"),
        ({"inputs": [{"name": "i", "id": "x"}, {"name": "j", "id": "x"}]}, "an ID is there twice"),
        ({"outputs": [{"name": "o", "id": "x", "destination": "nowhere"}]}, "a URL is needed"),
        ({"outputs": [{"name": "o", "id": "x", "destination": "http://h", "rules": 5}]}, "rules: one of"),
        ({"auth": {"type": "basic", "username": "a:b", "password": "c"}}, "auth: a username"),
        ({"auth": {"type": "token"}}, "auth.token"),
        ({"auth": {"type": "oauth"}}, "auth.type: one of"),
        ({"ephemeral": "yes"}, "ephemeral"),
        ({"description": "\ud800"}, "description: this is not text"),
    ],
)
def test_what_can_not_be_used(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadResource) as refused:
        bucket_from({"name": "b", "id": "x", **change})
    assert problem in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
KEYS = list(bucket_document(FULL, secrets=True))


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_document_is_understood_or_refused(document: dict[str, Any]) -> None:
    try:
        bucket = bucket_from({"name": "b", "id": "x", **document})
    except BadResource:
        return
    assert bucket_from(bucket_document(bucket, secrets=True)) == bucket
