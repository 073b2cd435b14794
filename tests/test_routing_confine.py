"""Properties: whatever a webhook says, it stays in its place."""

import re
import unicodedata
from collections.abc import Callable

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from bridge.errors import RenderError
from bridge.routing.confine import topic_level
from bridge.routing.scope import Scope
from bridge.routing.template import Place, compile_template
from tests.support.deliveries import webhook

# Header values are not parsed by anyone before a template sees them, so any text can stand there.
TEXTS = st.text(max_size=200) | st.text(
    alphabet="/+#$.%\\?&=@:\x00\r\n\u2028\ud800\uffff e\u0301", max_size=12
)


def rendered(source: str, place: Place) -> Callable[[str], str | None]:
    """What a template makes of a header's value; None where it is refused."""
    template = compile_template(source, place)

    def render(text: str) -> str | None:
        try:
            return template.render(Scope(webhook(headers={"x": (text,)}), "r"))
        except RenderError:
            return None

    return render


topic = rendered("home/{{ header.x }}/a-{{ header.x }}-{{ header.x | lower }}/ring", Place.TOPIC)


@given(TEXTS)
@example("")
@example("../#")
@example("$SYS")
@example("\ufdd0\U0010ffff\x7f\x9f")
def test_a_topic_keeps_its_levels_and_has_no_wildcard_or_control_character(text: str) -> None:
    found = topic(text)
    if found is None:
        assert len(unicodedata.normalize("NFC", text).encode("utf-8", "replace")) > 128
        return
    levels = found.split("/")
    assert len(levels) == 4
    assert (levels[0], levels[3]) == ("home", "ring")
    assert levels[1]
    assert levels[2].startswith("a-")
    assert not re.search(r"[+#]", found)
    for character in found:
        assert unicodedata.category(character) not in {"Cc", "Cs"}
        assert ord(character) & 0xFFFE != 0xFFFE
        assert not 0xFDD0 <= ord(character) <= 0xFDEF
    assert len(found.encode()) <= 1024


@given(TEXTS)
def test_confining_a_level_twice_changes_nothing(text: str) -> None:
    try:
        level = topic_level(text)
    except RenderError:
        return
    assert topic_level(level) == level


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("front door", "front door"),
        ("a/b", "a_b"),
        ("+", "_"),
        ("", "_"),
        ("Kü\u0308che", "Kü\u0308che"),
        ("u\u0308", "ü"),
        (True, "true"),
        (None, "null"),
        (5, "5"),
        (21.5, "21.5"),
        ("x" * 128, "x" * 128),
    ],
)
def test_a_level(value: object, level: str) -> None:
    assert topic_level(value) == level


@pytest.mark.parametrize("value", ["x" * 129, "ü" * 65, "e\u0301" * 1_000_000, [], {}, ["a"]])
@pytest.mark.timeout(10)
def test_no_level(value: object) -> None:
    with pytest.raises(RenderError):
        topic_level(value)


def test_a_topic_of_many_long_levels_is_refused() -> None:
    assert rendered("a" + "/{{ header.x }}" * 9, Place.TOPIC)("x" * 120) is None
    assert rendered("a" + "/{{ header.x }}" * 8, Place.TOPIC)("x" * 120) is not None


url = rendered("http://127.0.0.1:1880/api/{{ header.x }}/set?name={{ header.x }}&to=1", Place.URL)


@given(TEXTS)
@example("..")
@example(".")
@example("%2e%2E")
@example("../../admin")
@example("@evil.example/")
@example("a&to=2#")
@example("\\..\\")
def test_a_url_keeps_its_origin_its_segments_and_its_parameters(text: str) -> None:
    found = url(text)
    if found is None:
        assert text in {"", ".", ".."} or re.search("[\ud800-\udfff]", text)
        return
    assert found.isascii()
    # The last word has the client that sends it.
    seen = URL(found)
    assert (seen.scheme, seen.raw_authority, seen.raw_fragment) == ("http", "127.0.0.1:1880", "")
    assert seen.raw_path.split("/")[1::2] == ["api", "set"]
    assert len(seen.raw_path.split("/")) == 4
    assert list(seen.query.items()) == [("name", text), ("to", "1")]
    assert seen.raw_parts[2] not in {".", ".."}


@pytest.mark.parametrize("text", [".", "..", "e", ""])
@pytest.mark.parametrize(
    "segment", [".{{ header.x }}", "{{ header.x }}{{ header.x }}", "%2e{{ header.x }}", "{{ header.x }}."]
)
def test_pieces_of_a_segment_do_not_climb_together(segment: str, text: str) -> None:
    for source in (f"http://h/a/{segment}/b", f"http://h/a/{segment}", f"http://h/a/{segment}?q=/../"):
        found = rendered(source, Place.URL)(text)
        if found is not None:
            assert URL(found).path.split("/")[:2] == ["", "a"]
            assert not re.search(r"/(\.|%2e){1,2}(/|$)", found.partition("?")[0])


def test_a_url_is_not_endless() -> None:
    assert rendered("http://h/{{ header.x }}", Place.URL)("x" * 7000) is not None
    assert rendered("http://h/{{ header.x }}", Place.URL)("ü" * 3000) is None
    assert rendered("http://h/{{ header.x }}", Place.URL)("x" * 1_000_000) is None


header = rendered("door {{ header.x }};{{ header.x }}", Place.HEADER)


@given(TEXTS)
@example("a\r\nX-Admin: 1")
@example("\x00")
@example("tab\tbed")
def test_a_header_stays_one_line(text: str) -> None:
    found = header(text)
    forbidden = re.search("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]", text)
    assert (found is None) == (forbidden is not None)
    if found is not None:
        assert found == f"door {text};{text}"
        assert len(found.splitlines()) <= 1 + 2 * len(re.findall("[\x85\u2028\u2029]", text))


def test_a_header_is_not_endless() -> None:
    assert header("x" * 4000) is not None
    assert header("x" * 5000) is None


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_json_value_in_any_place(value: object) -> None:
    hook = webhook(orjson.dumps({"x": value}))
    for place, start in ((Place.TOPIC, "a/"), (Place.URL, "http://h/a/"), (Place.HEADER, "")):
        template = compile_template(start + "{{ body.x }}", place)
        try:
            found = template.render(Scope(hook, "r"))
        except RenderError:
            continue
        assert found.startswith(start)
        assert found.count("/") == start.count("/") or place is Place.HEADER
