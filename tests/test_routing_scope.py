from bridge.routing.scope import HeaderValues, Scope, body_of, timestamp
from tests.support.deliveries import webhook

FORM = {"content-type": ("application/x-www-form-urlencoded",)}


def test_body_is_json_whatever_its_content_type() -> None:
    assert body_of(webhook(b'{"a": 1}', headers=FORM)) == {"a": 1}


def test_body_of_a_form_is_the_first_value_of_each_field() -> None:
    assert body_of(webhook(b"a=1&a=2&b=", headers=FORM)) == {"a": "1", "b": ""}


def test_body_is_text_where_it_is_neither() -> None:
    assert body_of(webhook(b"hello \xff", headers={})) == "hello \ufffd"


def test_body_is_parsed_again_after_it_was_forgotten() -> None:
    hook = webhook(b'{"a": 1}')
    first = body_of(hook)
    hook.forget()
    assert body_of(hook) == first
    assert body_of(hook) is not first


def test_every_name_has_a_value() -> None:
    hook = webhook(b"x=1", headers=FORM, query_string="q=2&q=3", destination="/in?x", output="out")
    scope = Scope(hook, "r")
    names = ("body", "raw", "query", "form", "method", "path", "bucket", "input", "output", "id", "route")
    assert {name: scope[name] for name in names} == {
        "body": {"x": "1"},
        "raw": "x=1",
        "query": {"q": "2"},
        "form": {"x": "1"},
        "method": "POST",
        "path": "/in",
        "bucket": "doorbell",
        "input": "Default public endpoint",
        "output": "out",
        "id": "log-1",
        "route": "r",
    }
    assert scope["received_at"] == "2023-11-14T22:13:20.000Z"


def test_header_names_in_any_case_and_with_underscores() -> None:
    headers = HeaderValues({"x-event": ("push", "later"), "x_odd": ("1",), "empty": ()})
    assert headers["X-Event"] == headers["x_event"] == headers["X_EVENT"] == "push"
    assert headers["x_odd"] == "1"
    assert "X-EVENT" in headers
    assert "x-other" not in headers
    assert "empty" not in headers
    strange: list[object] = [5, None, []]
    assert not any(headers.__contains__(key) for key in strange)


def test_timestamp_is_rfc_3339_in_utc() -> None:
    assert timestamp(1.5) == "1970-01-01T00:00:01.500Z"
    assert timestamp(1_772_366_400) == "2026-03-01T12:00:00.000Z"
