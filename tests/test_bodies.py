from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bodies import MOST_FIELDS, NO_FORM, decode, media_type, parse_form, parse_pairs

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="edge of:it"'

PLEX = (
    b"a preamble\r\n"
    b"--edge of:it\r\n"
    b'Content-Disposition: form-data; name="payload"\r\n'
    b"Content-Type: application/json\r\n"
    b"\r\n"
    b'{"event": "media.play", "Account": {"title": "Zo\xc3\xab"}}\r\n'
    b"--edge of:it  \r\n"
    b"content-disposition: form-data; NAME=tag\r\n\r\none\r\n"
    b"--edge of:it\r\n"
    b"Content-Disposition: form-data; name=tag\r\n\r\ntwo\r\nlines\r\n"
    b"--edge of:it\r\n"
    b'Content-Disposition: form-data; name="thumb"; filename="a \\"b\\""\r\n'
    b"Content-Type: image/jpeg\r\n"
    b"\r\n"
    b"\xff\xd8 not text\r\n"
    b"--edge of:it--\r\n"
    b"an epilogue\r\n--edge of:it\r\n"
)
PAYLOAD = '{"event": "media.play", "Account": {"title": "Zoë"}}'


def multipart(fields: list[tuple[str, str | None, bytes]], newline: bytes = b"\r\n") -> bytes:
    """A multipart form of (name, file name, content)."""
    lines = []
    for name, filename, content in fields:
        file = b"" if filename is None else b'; filename="%s"' % filename.encode()
        head = b'Content-Disposition: form-data; name="%s"%s' % (name.encode(), file)
        lines += [b"--edge of:it", head, b"", content]
    return newline.join([*lines, b"--edge of:it--", b""])


def test_a_multipart_form_has_texts_json_and_files() -> None:
    form = parse_form(PLEX, MULTIPART)
    assert form.fields == {"payload": (PAYLOAD,), "tag": ("one", "two\r\nlines")}
    assert form.body == {
        "payload": {"event": "media.play", "Account": {"title": "Zoë"}},
        "tag": "one",
        "thumb": {"filename": 'a "b"', "size": 11, "content_type": "image/jpeg"},
    }


def test_a_field_that_only_says_it_is_json_is_text() -> None:
    assert parse_form(PLEX.replace(b'"}}', b""), MULTIPART).body["payload"] == PAYLOAD.removesuffix('"}}')


def test_lines_may_end_without_a_carriage_return() -> None:
    assert parse_form(PLEX.replace(b"\r\n", b"\n"), MULTIPART).fields["tag"] == ("one", "two\nlines")


def test_a_part_that_nothing_ends_is_left_out() -> None:
    cut = PLEX[: PLEX.index(b"\r\n--edge of:it--")]
    assert parse_form(cut, MULTIPART).body.keys() == {"payload", "tag"}
    assert parse_form(PLEX[: PLEX.index(b"media.play")], MULTIPART) == NO_FORM


@pytest.mark.parametrize(
    "part",
    [
        b"no blank line",
        b"\r\nno headers",
        b"Content-Type: text/plain\r\n\r\nno name",
        b"Content-Disposition: form-data\r\n\r\nno name",
        b"X: " + b"x" * 9000 + b'\r\nContent-Disposition: form-data; name="x"\r\n\r\nmuch before the content',
    ],
)
def test_a_part_without_a_name_costs_only_itself(part: bytes) -> None:
    raw = b"--edge of:it\r\n" + part + b"\r\n" + multipart([("a", None, b"1")])
    assert parse_form(raw, MULTIPART).fields == {"a": ("1",)}


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        f"multipart/form-data; boundary={'x' * 201}",
        f"multipart/form-data; {'x' * 2000}; boundary=edge",
        "multipart/mixed; boundary=edge",
        "text/plain",
        "",
    ],
)
def test_no_form_without_a_boundary_or_of_another_type(content_type: str) -> None:
    assert parse_form(b"--edge\r\n" + PLEX.replace(b"edge of:it", b"edge"), content_type) == NO_FORM


def test_a_form_has_a_thousand_fields_and_no_more() -> None:
    fields: list[tuple[str, str | None, bytes]] = [("a", None, b"1")] * MOST_FIELDS
    assert len(parse_form(multipart(fields), MULTIPART).fields["a"]) == MOST_FIELDS
    assert parse_form(multipart([*fields, fields[0]]), MULTIPART) == NO_FORM
    text = "&".join(["a=1"] * MOST_FIELDS)
    assert len(parse_pairs(text)["a"]) == MOST_FIELDS
    assert parse_pairs(text + "&a=1") == {}


def test_an_urlencoded_form() -> None:
    form = parse_form(b"a=1&a=2&b=&c=%C3%AB+x&d=%FF", f"{URLENCODED}; charset=UTF-8")
    assert form.fields == {"a": ("1", "2"), "b": ("",), "c": ("ë x",), "d": ("\ufffd",)}
    assert form.body == {"a": "1", "b": "", "c": "ë x", "d": "\ufffd"}


def test_percent_escapes_are_in_the_forms_charset() -> None:
    assert parse_form(b"a=%EB", f"{URLENCODED}; charset=iso-8859-1").body == {"a": "ë"}
    assert parse_form(b"a=%82%a0", f'{URLENCODED};Charset="Shift_JIS"').body == {"a": "あ"}
    assert parse_form(b"a=%EB", f"{URLENCODED}; charset=rot13").body == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"Zo\xc3\xab", "", "Zoë"),
        (b"Zo\xeb", "iso-8859-1", "Zoë"),
        ("Zoë".encode(), "iso-8859-1", "Zoë"),  # the relay has decoded it
        (b'\x1b$B$"\x1b(B', "iso-2022-jp", "あ"),
        (b"\x1b$B", "iso-2022-jp", ""),
        (b"\x80\xff", "iso-2022-jp", "\ufffd\ufffd"),
        (b"Zo\xeb", "utf-8", "Zo\ufffd"),
        (b"Zo\xeb", "no-such-charset", "Zo\ufffd"),
        (b"\\x41 b'a'", "unicode_escape", "\\x41 b'a'"),
        (b"xn--a", "punycode", "xn--a"),
        (b"eJwDAAAAAAE=", "zlib", "eJwDAAAAAAE="),
    ],
)
def test_text_in_its_charset(raw: bytes, charset: str, text: str) -> None:
    assert decode(raw, f"text/plain; charset={charset}" if charset else "text/plain") == text


def test_media_type() -> None:
    assert media_type(" Text/XML ; charset=x") == "text/xml"
    assert media_type("") == ""


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters='"\\\r\n\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e')
)
CONTENTS = st.binary(max_size=60).filter(lambda content: b"--edge" not in content)


@given(st.lists(st.tuples(NAMES, st.none() | NAMES, CONTENTS), max_size=8), st.sampled_from([b"\r\n", b"\n"]))
def test_what_was_put_into_a_form_comes_out(
    fields: list[tuple[str, str | None, bytes]], newline: bytes
) -> None:
    if newline == b"\n":  # then a line break at the content's end can't be told from the delimiter's
        fields = [(name, file, content.rstrip(b"\r")) for name, file, content in fields]
    form = parse_form(multipart(fields, newline), MULTIPART)
    texts = [(name, content.decode("utf-8", "replace")) for name, file, content in fields if file is None]
    assert [(name, value) for name, values in form.fields.items() for value in values] == sorted(
        texts, key=lambda pair: [name for name, _ in texts].index(pair[0])
    )
    sizes: dict[str, Any] = {}
    for name, file, content in fields:
        sizes.setdefault(name, len(content) if file is not None else content.decode("utf-8", "replace"))
    found = {name: value["size"] if isinstance(value, dict) else value for name, value in form.body.items()}
    assert found == sizes


PIECES = st.sampled_from(
    [b"--edge", b"--", b"\r\n", b"\n", b"Content-Disposition: form-data", b'; name="', b'"', b"; filename=a"]
)
TYPES = st.sampled_from(
    ["multipart/form-data; boundary=edge", URLENCODED, "text/plain; charset=big5", "application/json"]
)


@given(st.lists(PIECES | st.binary(max_size=5), max_size=40).map(b"".join), TYPES | st.text())
def test_nothing_raises_whatever_comes(raw: bytes, content_type: str) -> None:
    form = parse_form(raw, content_type)
    assert all(form.fields.values())
    assert form.fields.keys() <= form.body.keys()
    assert isinstance(decode(raw, content_type), str)


@given(st.text(), st.sampled_from(["", "multipart/form-data; boundary=", "text/plain; charset="]))
def test_nothing_raises_whatever_the_content_type(text: str, start: str) -> None:
    content_type = start + text
    parse_form(PLEX, content_type)
    assert isinstance(decode(b"a\xff", content_type), str)


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n--edge" * 400_000,
        b"--edge" * 500_000,
        b"\n" * 3_000_000,
        b"--edge\r\n" + b'; name="' * 400_000 + b"\r\n--edge--",
        b"--edge\r\n" + b"\r" * 3_000_000 + b"\r\n--edge--",
    ],
)
def test_hostile_bodies_take_no_more_time_than_their_length(raw: bytes) -> None:
    started = perf_counter()
    assert parse_form(raw, "multipart/form-data; boundary=edge") == NO_FORM
    assert perf_counter() - started < 2
