import pytest

from bridge.errors import TemplateError
from bridge.routing.syntax import MAX_SOURCE, parse


@pytest.mark.parametrize(
    ("source", "message", "marked"),
    [
        ("a {{ bdy.x }}", "unknown name 'bdy'; did you mean 'body'?", "bdy"),
        ("{{ value_json.x }}", "unknown name 'value_json'; write 'body' for the parsed body", "value_json"),
        ("{{ headers.x }}", "unknown name 'headers'; write header['x-name']", "headers"),
        ("{{ body.x | lwer }}", "unknown filter 'lwer'; did you mean 'lower'?", "lwer"),
        ("{{ body.x is defned }}", "unknown test 'defned'; did you mean 'defined'?", "defned"),
        ("{{ body.x.uper() }}", "there is no method 'uper'; did you mean 'upper'?", "uper"),
        ("{{ now() }}", "there is no function 'now'; 'received_at' is the time of arrival", "now"),
        ("{{ self }}", "unknown name 'self'", "self"),
        ("{{ loop.index }}", "unknown name 'loop'", "loop"),
        ("one\ntwo {{ body.x | nope }}", "unknown filter 'nope'", "nope"),
        ("x {{ body. }}", "expected name or number", "{{ body. }}"),
    ],
)
def test_the_message_says_what_and_where(source: str, message: str, marked: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(source)
    assert str(caught.value) == message
    assert source[caught.value.offset :].startswith(marked)


@pytest.mark.parametrize(
    "source",
    [
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% block b %}{% endblock %}",
        "{% filter upper %}x{% endfilter %}",
        "{% set x %}y{% endset %}",
        "{% set body.x = 1 %}",
        "{% call body.x() %}{% endcall %}",
        "{% with x = 1 %}{{ x }}{% endwith %}",
        "{% for x in body recursive %}{{ x }}{% endfor %}",
        "{% for x in body %}{% for y in x %}{{ y }}{% endfor %}{% endfor %}",
        "{{ 2 ** 3 }}",
        "{{ body.x()() }}",
        "{{ body['x']() }}",
        "{{ range(3) }}",
        "{{ namespace(a=1) }}",
        "{{ body",
        "{% endif %}",
        "{{ " + "(" * 1000 + "1" + ")" * 1000 + " }}",
        "{{ " + "-" * 5000 + "1 }}",
        "x" * (MAX_SOURCE + 1),
    ],
)
def test_refused(source: str) -> None:
    with pytest.raises(TemplateError):
        parse(source)
