from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RenderError, TemplateError
from bridge.routing.scope import Scope
from bridge.routing.template import Place, compile_template
from tests.support.deliveries import webhook

BODY = b'{"n": 5, "f": 1.5, "t": true, "z": null, "s": "Hi", "l": [1, "a"], "o": {"items": [7], "_id": 8}}'


def render(source: str, place: Place = Place.TEXT, **fields: Any) -> str:
    return compile_template(source, place).render(scope(**fields))


def value(source: str, **fields: Any) -> Any:
    return compile_template(source, Place.VALUE).value(scope(**fields))


def scope(**fields: Any) -> Scope:
    return Scope(webhook(**({"body": BODY} | fields)), "hall")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        ("{{ body.s }}", "Hi"),
        ("a {{ body.n }} b {{ body.f }}", "a 5 b 1.5"),
        ("{{ body.t }} {{ body.z }} {{ body.l }} {{ body.o }}", 'true null [1,"a"] {"items":[7],"_id":8}'),
        ("{{ body['s'] }}{{ body.l[1] }}{{ body.l.0 }}", "Hia1"),
        ("{{ true ~ body.t ~ body.l }}", 'truetrue[1,"a"]'),
        ("{{ body.s | lower }} {{ body.s.upper() }}", "hi HI"),
        ("{{ 'on' if body.t else 'off' }}", "on"),
        ("{% if body.n > 4 %}many{% else %}few{% endif %}", "many"),
        ("{% for x in body.l %}{{ loop.index }}={{ x }};{% endfor %}", "1=1;2=a;"),
        ("{% set twice = body.n * 2 %}{{ twice }}", "10"),
        ("{# nothing #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ header['Content-Type'] }}, {{ header.content_type }}", "application/json, application/json"),
        ("{{ bucket }} {{ route }} {{ method }}", "doorbell hall POST"),
        ("", ""),
    ],
)
def test_text(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ body.n }}", 5),
        ("{{ body.t }}", True),
        ("{{ body.z }}", None),
        ("{{ body.l }}", [1, "a"]),
        ("{{ body.l | length }}", 2),
        ("{{ body.n > 4 and body.s in ('Hi', 'Ho') }}", True),
        ("{{ 5 }}", 5),
        ("{{ [1, 2] }}", [1, 2]),
        ("n={{ body.n }}", "n=5"),
        ("{{ body.n }}{{ body.n }}", "55"),
        ("{% if true %}1{% endif %}", "1"),
        ("5", "5"),
    ],
)
def test_one_whole_expression_keeps_its_type(source: str, expected: object) -> None:
    found = value(source)
    assert found == expected
    assert type(found) is type(expected)


def test_keys_win_over_methods_and_may_start_with_an_underscore() -> None:
    assert value("{{ body.o.items }}") == [7]
    assert value("{{ body.o._id }}") == 8
    assert value("{{ body.o.keys }}", body=b'{"o": {"keys": 1}}') == 1


@pytest.mark.parametrize(
    "source",
    [
        "{{ body.missing }}",
        "{{ body.o.keys }}",
        "{{ body.s.upper }}",
        "{{ body.z.deeper }}",
        "{{ body.l[9] }}",
        "x{{ body.missing | lower }}",
        "{{ header['x-none'] }}",
        "{{ query.none }}",
        "{% if body.missing %}1{% endif %}",
        "{{ body.n / 0 }}",
        "{{ body.n + body.s }}",
        "{{ body.n.upper() }}",
        "{{ body.l | map('upper') }}",
        "{{ body.o.items.items() }}",
        "{{ body.l | sum }}",
        "{{ 'nojson' | from_json ~ body.n }}",
    ],
)
def test_what_fails_is_a_render_error(source: str) -> None:
    template = compile_template(source, Place.VALUE)
    for work in (template.render, template.value):
        with pytest.raises(RenderError):
            work(scope())


def test_a_missing_value_is_named() -> None:
    with pytest.raises(RenderError, match=r"^body\.a\.b\[0\] is missing$"):
        render("{{ body.a.b[0] }}")


def test_default_also_where_a_parent_is_missing() -> None:
    assert render("{{ body.a.b.c | default('none') }}") == "none"
    assert render("{{ body.z.b | default('none') }}") == "none"
    assert render("{{ header['x-none'] | default('-') }}") == "-"


def test_an_error_holds_no_control_character_of_the_webhook() -> None:
    with pytest.raises(RenderError) as caught:
        render("{{ body.s.removeprefix('') | round }}", body=b'{"s": "a\\u001b[2J\\r\\nFAKE LINE"}')
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("source", "constant"),
    [("a/b", True), ("{{ 1 + 1 }}", True), ("{{ method }}", False), ("{% if true %}x{% endif %}", True)],
)
def test_constant(source: str, constant: bool) -> None:
    template = compile_template(source, Place.TEXT)
    assert template.constant is constant
    assert template.source == source


def test_a_constant_that_can_only_fail_is_refused_at_once() -> None:
    with pytest.raises(TemplateError):
        compile_template("{{ 1 / 0 }}", Place.TEXT)


@pytest.mark.parametrize("place", [Place.TOPIC, Place.URL, Place.HEADER])
def test_statements_stand_in_texts_only(place: Place) -> None:
    with pytest.raises(TemplateError, match="statements") as caught:
        compile_template("http://h/{% if body %}x{% endif %}", place)
    assert caught.value.offset == 9


@pytest.mark.parametrize("source", ["{{ body.l }}", "{{ body.o }}", "{{ [1] }}{{ method }}"])
def test_lists_and_mappings_belong_in_texts_only(source: str) -> None:
    for place, start in ((Place.TOPIC, "a/"), (Place.URL, "http://h/"), (Place.HEADER, "")):
        with pytest.raises(RenderError, match="list or mapping"):
            render(start + source, place)


@given(st.text(), st.sampled_from(Place))
def test_any_text_compiles_or_is_a_template_error(source: str, place: Place) -> None:
    try:
        compile_template(source, place)
    except TemplateError as error:
        assert 0 <= error.offset <= len(source)  # noqa: PT017 -- either outcome is right


SCRAPS = (
    "{{",
    "}}",
    "{%",
    "%}",
    " body",
    ".a",
    "[0]",
    "|",
    "lower",
    "'",
    "(",
    ")",
    " if ",
    "for x in ",
    "/",
    "1",
)


@given(st.lists(st.sampled_from(SCRAPS), max_size=12).map("".join))
def test_scraps_of_templates_compile_or_are_a_template_error(source: str) -> None:
    try:
        template = compile_template(source, Place.TEXT)
    except TemplateError:
        return
    try:
        assert isinstance(template.render(scope()), str)
    except RenderError:
        return
