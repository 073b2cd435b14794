"""Text without braces skips Jinja2, and means the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import TemplateError
from bridge.routing.sandbox import SANDBOX
from bridge.routing.scope import Scope
from bridge.routing.syntax import MAX_SOURCE
from bridge.routing.template import Place, compile_template
from tests.support.deliveries import webhook

PLAIN = st.text(st.sampled_from("ab{}%#/+-\r\n é\x85\u2028")).filter(
    lambda text: not any(opening in text for opening in ("{{", "{%", "{#"))
)


@given(PLAIN)
def test_it_is_what_jinja2_would_make_of_it(source: str) -> None:
    template = compile_template(source, Place.TEXT)
    scope = Scope(webhook(), "hall")
    assert template.constant
    assert template.source == source
    assert template.render(scope) == template.value(scope) == SANDBOX.from_string(source).render()


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ("home/+", Place.TOPIC, "a wildcard, which can't be published to: '+'"),
        ("", Place.TOPIC, "a topic can't be empty"),
        ("ftp://h", Place.URL, "a URL starts with http:// or https:// and a literal host"),
        ("a\x00", Place.HEADER, "a control character, which a header can't hold: '\\x00'"),
        ("x" * (MAX_SOURCE + 1), Place.TEXT, f"a template of over {MAX_SOURCE} characters"),
    ],
)
def test_its_place_is_checked_all_the_same(source: str, place: Place, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(source, place)
    assert str(caught.value) == message


def test_a_url_is_encoded() -> None:
    scope = Scope(webhook(), "hall")
    assert compile_template("http://h/Küche?a=ü", Place.URL).render(scope) == "http://h/K%C3%BCche?a=%C3%BC"
