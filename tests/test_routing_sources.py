import pytest

from bridge.errors import ConditionError
from bridge.routing.sources import reader_of
from tests.support.deliveries import webhook

BODY = b'{"a": {"b": [{"c": 7}, null]}, "x.y": 1, "s": "text", "0": 2, "n": null}'


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("bucket", ("doorbell", "1593fe5f-45f9-45cc-ba23-675fdc7c1638")),
        ("input", ("Default public endpoint", "b90f2fe9-621d-4290-9e74-edd5b61325dd")),
        ("output", ("out",)),
        ("method", ("PUT",)),
        ("path", ("/in",)),
        ("content_type", ("application/json",)),
        ("query.q", ("1", "2")),
        ("query.none", ()),
        ("header.X-Event", ("push", "tag")),
        ("header.x-none", ()),
        ("form.f", ()),
        ("body.a.b[0].c", (7,)),
        ("body.a.b[1]", (None,)),
        ("body.a.b[2]", ()),
        ("body.a.b.c", ()),
        ("body.s[0]", ()),
        ("body.s.t", ()),
        ("body.0", (2,)),
        ("body[0]", ()),
        ("body.n", (None,)),
        ("body.n.deeper", ()),
        ('body["x.y"]', (1,)),
    ],
)
def test_values(source: str, seen: tuple[object, ...]) -> None:
    if source.startswith("body["):
        source = "body." + source.removeprefix("body")
    headers = {"content-type": ("Application/JSON; charset=utf-8",), "x-event": ("push", "tag")}
    fields = {"destination": "/in", "output": "out", "method": "PUT", "query_string": "q=1&q=2"}
    assert reader_of(source)(webhook(BODY, headers=headers, **fields)) == seen


def test_fields_of_a_form_are_its_body_too() -> None:
    headers = {"content-type": ("application/x-www-form-urlencoded",)}
    hook = webhook(b"f=1&f=2&g=%20", headers=headers)
    assert reader_of("form.f")(hook) == ("1", "2")
    assert reader_of("body.f")(hook) == ("1",)
    assert reader_of("body.g")(hook) == (" ",)


@pytest.mark.parametrize("body", [b"", b"text", b"5", b"null", b"[1]", b'"a"', b"\xff", b"{", b"[" * 5000])
def test_a_body_without_the_path(body: bytes) -> None:
    assert reader_of("body.a.b")(webhook(body)) == ()


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("buckt", "did you mean 'bucket'"),
        ("headers.x-event", "did you mean 'header'"),
        ("", "unknown source"),
        ("bucket.name", "unknown source"),
        ("header", "needs a name"),
        ("query.", "needs a name"),
        ("body", "needs a name"),
        ("body..a", "not a path"),
        ("body.a[x]", "not a path"),
        ("body.a..b", "not a path"),
        ("body.a[0]b", "not a path"),
        ("body.a[-1]", "not a path"),
        ("body.a[", "not a path"),
        ("body.a.", "not a path"),
    ],
)
def test_sources_that_are_refused(source: str, hint: str) -> None:
    with pytest.raises(ConditionError, match=hint):
        reader_of(source)
