"""Nothing that a template or a webhook says reaches a Python object, or takes much memory or time."""

from typing import Any

import pytest

from bridge.errors import RenderError, TemplateError
from bridge.routing.sandbox import FILTERS, MAX_LOOP, METHODS
from bridge.routing.scope import Scope
from bridge.routing.template import Place, compile_template
from tests.support.deliveries import webhook


def render(source: str, body: bytes = b"{}", **fields: Any) -> str:
    return compile_template(source, Place.TEXT).render(Scope(webhook(body, **fields), "r"))


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ body.__init__.__globals__ }}",
        "{{ body['__class__'] }}",
        "{{ (body | list)['__class__'] }}",
        "{{ body | attr('__class__') }}",
        "{{ [''] | map(attribute='__class__') | list }}",
        "{{ [body] | selectattr('__class__') | list }}",
        "{{ [body] | sum(attribute='__class__') }}",
        "{{ '{0.__class__}'.format(body) }}",
        "{{ '{0.__class__}' | format(body) }}",
        "{{ '%(x)s' | format(x=body) }}",
        "{{ [body] | map('format_map', body) | list }}",
        "{{ body.update({'a': 1}) }}",
        "{{ body.clear() }}",
        "{{ body.pop('a') }}",
        "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
        "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
        "{% for x in [1] %}{{ loop }}{% endfor %}",
        "{{ self._TemplateReference__context }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler.__init__ }}",
        "{{ body.get.__self__ }}",
    ],
)
def test_escapes_are_refused(source: str) -> None:
    with pytest.raises((TemplateError, RenderError)):
        render(source)


def test_a_format_string_of_a_stranger_is_text() -> None:
    assert render("{{ body.x }}", b'{"x": "{0.__class__} {{ 7 * 7 }} %s"}') == "{0.__class__} {{ 7 * 7 }} %s"


def test_data_is_reached_by_names_that_python_would_use() -> None:
    assert render("{{ body.__class__ }}{{ body.update }}", b'{"__class__": 1, "update": 2}') == "12"


LONG = b'{"s": "' + b"x" * 100_000 + b'", "l": [' + b"1," * 100_000 + b"1], " + b'"big": 1000000000}'


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 10000000000 }}",
        "{{ 10000000000 * 'x' }}",
        "{{ [1] * 10000000000 }}",
        "{{ body.s * body.big }}",
        "{{ (body.s * 30) ~ (body.s * 30) }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ body.s % 1 }}",
        "{{ '%0999999999d' | format(1) }}",
        "{{ '%*d' | format(999999999, 1) }}",
        "{{ '%.999999999f' | format(1.5) }}",
        "{{ body.s | format(1) }}",
        "{{ body.s | replace('x', body.s) }}",
        "{{ body.s.replace('', body.s) }}",
        "{{ body.l | join(body.s) }}",
        "{{ body.s.join(body.l) }}",
        "{{ 1.5 | round(body.big, 'ceil') }}",
        "{% for x in body.l %}{% set y = x %}{% endfor %}",
        "{% for x in body.s.split('') %}{% endfor %}",
        "{{ body.s | center(body.big) }}",
        "{{ body.s.ljust(body.big) }}",
        "{{ body.s.zfill(body.big) }}",
        "{{ body.s | indent(body.big) }}",
        "{{ lipsum(1000000) }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% for x in range(10000000000) %}{% endfor %}",
    ],
)
@pytest.mark.timeout(10)
def test_bombs_are_bounded(source: str) -> None:
    with pytest.raises((TemplateError, RenderError)):
        render(source, LONG)


def test_the_output_of_a_loop_is_bounded() -> None:
    body = b'{"s": "' + b"x" * 100_000 + b'", "l": [' + b"1," * 99 + b"1]}"
    with pytest.raises(RenderError, match="text of over"):
        render("{% for x in body.l %}{{ body.s }}{% endfor %}", body)


def test_a_loop_over_as_many_items_as_allowed() -> None:
    body = b"[" + b"1," * (MAX_LOOP - 1) + b"1]"
    assert len(render("{% for x in body %}{{ x }}{% endfor %}", body)) == MAX_LOOP
    with pytest.raises(RenderError, match="a loop over more"):
        render("{% for x in body %}{{ x }}{% endfor %}", body[:-1] + b",1]")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ [3, 1, 2] | sort | join(', ') }}", "1, 2, 3"),
        ("{{ [1, true, none] | join('-') }}", "1-true-null"),
        ("{{ ', '.join(['a', 'b']) }}", "a, b"),
        ("{{ 'a-b' | replace('-', '_') }}{{ 'a-b'.replace('-', '_') }}", "a_ba_b"),
        ("{{ '%05.1f|%-4d|%s|100%%' | format(2.25, 7, 'x') }}", "002.2|7   |x|100%"),
        ("{{ 42.567 | round(1) }} {{ 42.5 | round(0, 'floor') | int }}", "42.6 42"),
        ("{{ [1, 2] | sum }} {{ [{'n': 1}, {'n': 4}] | sum(attribute='n') }}", "3 5"),
        ("{{ {'a': [1, '<']} | tojson }} {{ {'b': none} | to_json }}", '{"a":[1,"<"]} {"b":null}'),
        ('{{ (\'{"a": {"b": 5}}\' | from_json).a.b }}', "5"),
        ("{{ [{'id': 1}, {'id': 2}] | map(attribute='id') | list }}", "[1,2]"),
        ("{{ [1, 2, 3] | select('odd') | list }} {{ [1, 2, 2] | unique | list }}", "[1,3] [1,2]"),
        ("{{ {'a': 1}.get('b', 'c') }} {{ {'a': 1}.keys() | list }}", 'c ["a"]'),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}", "a=1"),
        ("{{ 7 % 4 }} {{ 'ab' * 2 }} {{ 3 * 4 }}", "3 abab 12"),
        ("{{ header.get('Content-Type') }} {{ 'CONTENT-TYPE' in header }}", "application/json true"),
        ("{{ 'a b' | urlencode }} {{ ' x ' | trim }} {{ 'x' is defined }}", "a%20b x true"),
        ("{{ 'front door'.split(' ')[0] }} {{ 'abc'[:2] }} {{ [1, 1].count(1) }}", "front ab 2"),
    ],
)
def test_filters_and_methods(source: str, text: str) -> None:
    assert render(source) == text


def test_a_literal_list_of_mappings_is_not_changed_between_webhooks() -> None:
    template = compile_template("{{ [2, 1] | sort | list ~ bucket }}", Place.TEXT)
    assert {template.render(Scope(webhook(), "r")) for _ in range(3)} == {"[1,2]doorbell"}


@pytest.mark.parametrize("name", sorted(FILTERS))
@pytest.mark.parametrize("operand", [b"null", b"5", b'"x"', b"[1]", b'{"a": 1}', b"[[[]]]"])
def test_a_filter_yields_a_value_or_a_render_error(name: str, operand: bytes) -> None:
    template = compile_template(f"{{{{ body | {name} }}}}", Place.VALUE)
    try:
        found = template.value(Scope(webhook(operand), "r"))
    except RenderError:
        return
    assert isinstance(found, str | int | float | list | tuple | dict | None)


@pytest.mark.parametrize("name", sorted(METHODS))
@pytest.mark.parametrize("operand", [b"null", b"5", b'"x"', b"[1]", b'{"a": 1}'])
def test_a_method_yields_a_value_or_a_render_error(name: str, operand: bytes) -> None:
    template = compile_template(f"{{{{ body.{name}('x') }}}}", Place.VALUE)
    try:
        found = template.value(Scope(webhook(operand), "r"))
    except RenderError:
        return
    assert isinstance(found, str | int | float | list | tuple | dict | None)
