"""Text from a webhook stays in its place: one topic level, one URL segment or query value, one header.

Mosquitto drops a client that publishes to a topic with a control character or a noncharacter in it,
or with more than 200 levels.
"""

import re
from typing import Any, Final
from unicodedata import normalize
from urllib.parse import quote

import orjson
from jinja2 import Undefined

from bridge.errors import RenderError

MAX_LEVEL_BYTES: Final = 128
MAX_TOPIC_BYTES: Final = 1024
MAX_TOPIC_LEVELS: Final = 32
MAX_URL: Final = 8000
MAX_HEADER: Final = 8190

_PLANES: Final = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
UNFIT_FOR_TOPIC: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_PLANES}]")
"""Controls, surrogates and noncharacters."""
UNFIT_FOR_HEADER: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_UNFIT_FOR_LEVEL: Final = re.compile(f"[/+#]|{UNFIT_FOR_TOPIC.pattern}")
_PLAIN_LEVEL: Final = re.compile(r"[A-Za-z0-9 _.:@=,-]{1,128}").fullmatch
_DOT_SEGMENT: Final = re.compile(r"/(?:\.|%2[eE]){1,2}(?:/|$)")


def text(value: Any) -> str:
    """A value as text: strings as they are, the rest as JSON writes it (`true`, `null`, `[1,2]`).

    Raises:
        RenderError: it is nothing that JSON knows (a generator, say).
    """
    if value.__class__ is str or value.__class__ is int or value.__class__ is float:
        return str(value)
    if value is None or isinstance(value, (bool, dict, list, tuple)):
        return orjson.dumps(value).decode()
    if isinstance(value, (str, Undefined)):
        return str(value)  # an undefined value raises here, and names itself
    raise RenderError(f"a {type(value).__name__} is not text; `| list` makes a list of it")


def topic_level(value: Any) -> str:
    """What an expression may add to a level of a topic: never a separator, a wildcard or nothing at all.

    Raises:
        RenderError: a list, a mapping, or over 128 bytes.
    """
    level = _scalar_text(value)
    if _PLAIN_LEVEL(level):
        return level
    # Before it is normalised: that takes quadratic time for a long run of combining characters.
    if len(level) > 4 * MAX_LEVEL_BYTES:
        raise RenderError(f"{len(level)} characters are too long for a topic level")
    level = _UNFIT_FOR_LEVEL.sub("_", normalize("NFC", level)) or "_"
    if len(level.encode()) > MAX_LEVEL_BYTES:
        raise RenderError(f"a topic level of over {MAX_LEVEL_BYTES} bytes")
    return level


def whole_topic(topic: str) -> str:
    """A rendered topic, checked for its length."""
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise RenderError(f"a topic of over {MAX_TOPIC_BYTES} bytes")
    return topic


def path_part(value: Any) -> str:
    """What an expression may add to a segment of a URL's path; percent-encoded, never nothing."""
    part = query_part(value)
    if not part:
        raise RenderError("an empty part of a URL's path")
    return part


def query_part(value: Any) -> str:
    """What an expression may add to a query value; percent-encoded."""
    part = _scalar_text(value)
    if len(part) > MAX_URL:
        raise RenderError(f"{len(part)} characters are too long for a URL")
    return quote(part, safe="")


def whole_url(url: str) -> str:
    """A rendered URL, which must not climb: clients resolve `.` and `..`, percent-encoded or not."""
    if len(url) > MAX_URL:
        raise RenderError(f"a URL of over {MAX_URL} characters")
    if climbs(url):
        raise RenderError("a path segment '.' or '..' in the URL")
    return url


def climbs(url: str) -> bool:
    """Whether a segment of a URL's path means this folder or the one above."""
    return _DOT_SEGMENT.search(url.partition("?")[0]) is not None


def header_part(value: Any) -> str:
    """What an expression may add to a header's value: no line break, no other control character."""
    part = _scalar_text(value)
    if UNFIT_FOR_HEADER.search(part):
        raise RenderError("a control character in a header's value")
    return part


def whole_header(value: str) -> str:
    """A rendered header value, checked for its length."""
    if len(value) > MAX_HEADER:
        raise RenderError(f"a header value of over {MAX_HEADER} characters")
    return value


def _scalar_text(value: Any) -> str:
    if value.__class__ is str:
        return str(value)
    if isinstance(value, (dict, list, tuple)):
        raise RenderError("a list or mapping where one plain value belongs")
    return text(value)
