import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.selfhosted.template import BadTemplate, check_template, fill
from bridge.selfhosted.webhooks import facts_of

FACTS = facts_of(
    "POST",
    "/sub",
    "hub.challenge=42",
    [("X-Hook-Secret", "abc")],
    b'{"challenge": "a\\"<b>", "list": [1, {"x": 2}]}',
)


@pytest.mark.parametrize(
    ("text", "content_type", "filled"),
    [
        ("{{ body.challenge }}", "text/plain", 'a"<b>'),
        ("{{body.challenge}}", "text/html; charset=utf-8", "a&quot;&lt;b&gt;"),
        ('{"challenge": "{{ body.challenge }}"}', "application/json", '{"challenge": "a\\"<b>"}'),
        ("{{ query['hub.challenge'] }}/{{ header.x-hook-secret }}", "", "42/abc"),
        ("{{ method }} {{ path }} {{ id }}", "", "POST /sub log-1"),
        ("{{ body.list.1.x }}{{ body.absent }}{{ header.absent }}", "", "2"),
        ("{{ body.list }}", "", '[1,{"x":2}]'),
        ("no { places } here", "", "no { places } here"),
    ],
)
def test_places_are_filled_in(text: str, content_type: str, filled: str) -> None:
    check_template(text)
    assert fill(text, FACTS, "log-1", content_type) == filled


@pytest.mark.parametrize(
    "text", ["{{ nobody }}", "{{ body | upper }}", "{{ 7 * 7 }}", "{{ header }}", "{{ method.x }}", "{{ }}"]
)
def test_a_place_that_names_nothing(text: str) -> None:
    with pytest.raises(BadTemplate):
        check_template(text)


@given(st.text())
def test_in_json_a_value_stays_inside_its_string(value: str) -> None:
    body = json.dumps({"v": value}, ensure_ascii=True).encode()
    filled = fill('{"v": "{{ body.v }}"}', facts_of("POST", "/", "", [], body), "", "application/json")
    assert json.loads(filled) == {"v": value}
