from typing import Any

import pytest

from bridge.webhook import BodyError
from tests.support.deliveries import webhook

FORM = {"content-type": ("application/x-www-form-urlencoded",)}
LATIN = {"content-type": ("text/plain; charset=iso-8859-1",)}


def test_it_is_immutable() -> None:
    hook = webhook()
    field: Any = "bucket"
    with pytest.raises(AttributeError):
        setattr(hook, field, "other")


@pytest.mark.parametrize("content_type", ["application/json", "application/vnd.api+json", "text/plain", FORM])
def test_json_whatever_the_content_type_says(content_type: Any) -> None:
    headers = content_type if isinstance(content_type, dict) else {"content-type": (content_type,)}
    assert webhook(b'{"a": [1]}', headers=headers).json() == {"a": [1]}


def test_a_body_that_is_not_json_is_read_once_and_told_each_time() -> None:
    hook = webhook(b"{nope")
    with pytest.raises(BodyError, match="not JSON") as first:
        hook.json()
    with pytest.raises(BodyError) as second:
        hook.json()
    assert second.value is first.value


def test_json_that_nests_deeper_than_allowed_is_none() -> None:
    with pytest.raises(BodyError):
        webhook(b"[" * 100_000).json()


def test_what_was_parsed_is_kept_until_it_is_forgotten() -> None:
    hook = webhook(b"a=1&a=2", headers=FORM, query_string="q=1&q=2")
    parsed = hook.form, hook.form_body, hook.query
    assert parsed == ({"a": ("1", "2")}, {"a": "1"}, {"q": ("1", "2")})
    assert all(
        kept is found for kept, found in zip((hook.form, hook.form_body, hook.query), parsed, strict=True)
    )
    hook.forget()
    assert (hook.form, hook.form_body, hook.query) == parsed
    assert all(
        kept is not found for kept, found in zip((hook.form, hook.form_body, hook.query), parsed, strict=True)
    )


def test_a_multipart_form() -> None:
    headers = {"content-type": ("multipart/form-data; boundary=b",)}
    lines = ["--b", 'Content-Disposition: form-data; name="a"; filename="f"', "", "123", "--b"]
    lines += ['Content-Disposition: form-data; name="c"', "", "text", "--b--", ""]
    hook = webhook("\r\n".join(lines).encode(), headers=headers)
    assert hook.form == {"c": ("text",)}
    assert hook.form_body["a"] == {"filename": "f", "size": 3, "content_type": ""}


def test_text_as_sent_and_as_its_charset_has_it() -> None:
    assert webhook(b"Zo\xeb", headers=LATIN).text == "Zo\ufffd"
    assert webhook(b"Zo\xeb", headers=LATIN).decoded == "Zoë"
    assert webhook(b"<a>\xc3\xab</a>", headers={"content-type": ("text/xml",)}).decoded == "<a>ë</a>"
    assert webhook(b"hello", headers={}).decoded == "hello"


@pytest.mark.parametrize(
    ("destination", "path"),
    [
        ("/a/b?c=d", "/a/b"),
        ("http://host:80/a?c", "/a"),
        ("http://host", "/"),
        ("", "/"),
        ("http://[broken", "/"),
        ("free text", "free text"),
    ],
)
def test_path(destination: str, path: str) -> None:
    assert webhook(destination=destination).path == path


def test_headers_in_any_case() -> None:
    hook = webhook(headers={"x-event": ("push", "tag"), "content-type": ("Text/Plain ; x=y",), "empty": ()})
    assert hook.header("X-Event") == "push"
    assert hook.header("Empty") is None
    assert hook.header("x-none") is None
    assert hook.content_type == "text/plain"


def test_identity_needs_an_id() -> None:
    assert webhook(id="").identity is None
    assert webhook(bucket_id="", output="o").identity == (
        "doorbell",
        "b90f2fe9-621d-4290-9e74-edd5b61325dd",
        "o",
        "log-1",
    )
