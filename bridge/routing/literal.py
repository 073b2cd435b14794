"""What stands between the expressions of a topic, URL or header, checked when the file is loaded."""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from bridge.errors import TemplateError
from bridge.routing.confine import (
    MAX_TOPIC_BYTES,
    MAX_TOPIC_LEVELS,
    UNFIT_FOR_HEADER,
    UNFIT_FOR_TOPIC,
    climbs,
)

Literals = Sequence[str | None]
"""A template's literal parts in their order; None where an expression stands."""

_ORIGIN: Final = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
_UNFIT_FOR_URL: Final = re.compile(r"[\x00-\x20\x7f-\xa0\ud800-\udfff\\#]")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def check_topic(source: str, literals: Literals) -> None:
    """Refuse what no broker takes as a topic to publish to, and a topic that a stranger could begin."""
    if not literals:
        raise TemplateError("a topic can't be empty")
    if literals[0] is None:
        raise TemplateError("a topic starts with literal text, so that no webhook can choose its first level")
    if literals[0].startswith("$"):
        raise TemplateError("topics that start with '$' belong to the broker")
    _refuse(source, literals, re.compile("[+#]"), "a wildcard, which can't be published to")
    _refuse(source, literals, UNFIT_FOR_TOPIC, "a character that brokers refuse in a topic")
    written = "".join(filter(None, literals))
    if len(written.encode()) > MAX_TOPIC_BYTES:
        raise TemplateError(f"a topic of over {MAX_TOPIC_BYTES} bytes")
    if written.count("/") >= MAX_TOPIC_LEVELS:
        raise TemplateError(f"a topic of over {MAX_TOPIC_LEVELS} levels")


def check_url(source: str, literals: Literals) -> None:
    """Refuse a URL whose scheme, host and port are not literal, and one that could be read in two ways."""
    start = literals[0] if literals else None
    origin = _ORIGIN.match(start or "")
    if start is None or origin is None:
        raise TemplateError("a URL starts with http:// or https:// and a literal host")
    if int(origin[1] or 1) not in range(1, 65536):
        raise TemplateError("a port is a number from 1 to 65535", origin.start(1))
    rest = start[origin.end() :]
    if not rest.startswith(("/", "?")) and (rest or len(literals) > 1):
        raise TemplateError("a host ends with '/'; an expression can't be part of it", origin.end())
    _refuse(source, literals, _UNFIT_FOR_URL, "a character that can't stand in a URL")
    _refuse(source, literals, _BROKEN_ESCAPE, "a '%' without its two hexadecimal digits")
    if climbs("".join("x" if part is None else part for part in literals)):
        raise TemplateError("a URL's path can't hold the segments '.' and '..'")


def check_header(source: str, literals: Literals) -> None:
    """Refuse control characters."""
    _refuse(source, literals, UNFIT_FOR_HEADER, "a control character, which a header can't hold")


def url_text(part: str) -> str:
    """A literal part of a URL with what is not ASCII percent-encoded."""
    return quote(part, safe="".join(map(chr, range(0x21, 0x7F))))


def _refuse(source: str, literals: Iterable[str | None], unfit: re.Pattern[str], what: str) -> None:
    for part in filter(None, literals):
        if found := unfit.search(part):
            raise TemplateError(f"{what}: {found[0]!a}", max(0, source.find(part)) + found.start())
