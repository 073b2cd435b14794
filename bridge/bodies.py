"""What a body holds, as its content type says: text, the fields of a form, the parts of a multipart form.

Nothing here raises: a body that is not what its sender says it is holds no fields. The relay's frame carries
bodies as text, so bytes that are not UTF-8, such as a picture's, are damaged when they come, and a file's
size is that of what came.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import orjson

MOST_FIELDS: Final = 1000
LARGEST_PART_HEADER: Final = 8192
"""Bytes of the lines before a part's content."""
LONGEST_HEADER: Final = 1000
"""Characters of a header's value that are looked at for parameters."""
LONGEST_BOUNDARY: Final = 200
"""RFC 2046 allows 70."""

CHARSETS: Final = frozenset(
    {
        *("iso-8859-1", "iso-8859-2", "iso-8859-5", "iso-8859-7", "iso-8859-9", "iso-8859-15", "latin1"),
        *("windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254", "windows-1256"),
        *("big5", "euc-jp", "euc-kr", "gb18030", "gb2312", "gbk", "iso-2022-jp", "koi8-r", "shift_jis"),
    }
)
"""Any other is taken for UTF-8: Python knows codecs that no stranger should choose."""


class Form(NamedTuple):
    """The fields of a form."""

    fields: Mapping[str, tuple[str, ...]]
    """Texts by name; every one in its order."""
    body: Mapping[str, Any]
    """The first of each name: a text, what a field of JSON holds, or a file's `filename`, `size` in bytes
    and `content_type`."""


NO_FORM: Final = Form({}, {})


def media_type(content_type: str) -> str:
    """The type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def decode(raw: bytes, content_type: str) -> str:
    """The text of a body or part in the charset that its content type names."""
    charset = _charset(content_type)
    try:
        # First, whatever is named: a relay that passes bodies on as text has decoded them already.
        return raw.decode() if charset == "utf-8" or not raw.isascii() else raw.decode(charset)
    except UnicodeDecodeError:
        return raw.decode(charset, "replace")


def parse_form(raw: bytes, content_type: str) -> Form:
    """The fields of a form; none where the body is no form."""
    match media_type(content_type):
        case "application/x-www-form-urlencoded":
            fields = parse_pairs(raw.decode("utf-8", "replace"), _charset(content_type))
            return Form(fields, {name: values[0] for name, values in fields.items()})
        case "multipart/form-data":
            boundary = _parameters(content_type).get("boundary", "").encode("utf-8", "replace")
            return _multipart(raw, boundary) if 0 < len(boundary) <= LONGEST_BOUNDARY else NO_FORM
    return NO_FORM


def parse_pairs(text: str, charset: str = "utf-8") -> Mapping[str, tuple[str, ...]]:
    """What `a=1&b=2` says; nothing where it says more than `MOST_FIELDS` things."""
    try:
        found = parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, encoding=charset)
    except ValueError:
        return {}
    return {name: tuple(values) for name, values in found.items()}


class _Part(NamedTuple):
    name: str
    filename: str | None
    content_type: str
    content: bytes


def _multipart(raw: bytes, boundary: bytes) -> Form:
    """The parts of a multipart form (RFC 7578)."""
    fields: dict[str, list[str]] = {}
    body: dict[str, Any] = {}
    for number, text in enumerate(_parts(raw, boundary)):
        if number >= MOST_FIELDS:
            return NO_FORM
        if part := _part(text):
            body.setdefault(part.name, _value(part))
            if part.filename is None:
                fields.setdefault(part.name, []).append(decode(part.content, part.content_type))
    return Form({name: tuple(values) for name, values in fields.items()}, body)


def _parts(raw: bytes, boundary: bytes) -> Iterator[bytes]:
    """What stands between two delimiter lines (RFC 2046, section 5.1.1); a bare LF ends a line, too."""
    delimiter, begin = b"--" + boundary, 0
    for place in _line_starts(raw, delimiter):
        if begin:
            yield raw[begin:place].removesuffix(b"\n").removesuffix(b"\r")
        end = place + len(delimiter)
        begin = raw.find(b"\n", end) + 1
        if not begin or raw.startswith(b"--", end):
            return


def _line_starts(raw: bytes, text: bytes) -> Iterator[int]:
    """Where lines begin with a text."""
    place = raw.find(text)
    while place >= 0:
        if raw[place - 1 : place] in {b"", b"\n"}:
            yield place
        place = raw.find(text, place + len(text))


def _part(text: bytes) -> _Part | None:
    """One part; None where it does not say which field it is."""
    border = _BLANK_LINE.search(text, 0, LARGEST_PART_HEADER)
    if border is None:
        return None
    lines = text[: border.start()].decode("utf-8", "replace").splitlines()
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    disposition = _parameters(headers.get("content-disposition", ""))
    if "name" not in disposition:
        return None
    content_type = headers.get("content-type", "")
    return _Part(disposition["name"], disposition.get("filename"), content_type, text[border.end() :])


def _value(part: _Part) -> Any:
    """A part as templates and conditions see it."""
    kind = media_type(part.content_type)
    if part.filename is not None:
        return {"filename": part.filename, "size": len(part.content), "content_type": kind}
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return orjson.loads(part.content)
        except orjson.JSONDecodeError:
            pass  # then it is the text that it is
    return decode(part.content, part.content_type)


def _charset(content_type: str) -> str:
    if "charset" not in content_type.lower():
        return "utf-8"
    named = _parameters(content_type).get("charset", "").lower()
    return named if named in CHARSETS else "utf-8"


def _parameters(header: str) -> dict[str, str]:
    """What follows the first semicolon of a header (RFC 9110, section 5.6.6); names in lower case."""
    found: dict[str, str] = {}
    for name, quoted, token in _PARAMETER.findall(header[:LONGEST_HEADER]):
        found.setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) or token)
    return found


_BLANK_LINE: Final = re.compile(rb"^\r?\n|\r?\n\r?\n")
_PARAMETER: Final = re.compile(r""";[ \t]*([\w!#$&+.^`|~*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))""")
_ESCAPED: Final = re.compile(r'\\(["\\])')
