"""What names, IDs, headers, URLs, rates and paths look like, wherever they are written. No I/O."""

import re
from typing import Final
from urllib.parse import urlsplit

from bridge.selfhosted.resources import Rate

BODILESS: Final = frozenset({204, 205, 304})
LONGEST_BODY: Final = 64 * 1024
"""Characters of an input's own answer."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]{0,4000}")
_LABEL: Final = r"[a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]{1,100}){1,10}")
_RATE: Final = re.compile(r"([1-9]\d{0,5})/(?:([1-9]\d{0,3}))?(s|m|h)")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_FRAMING: Final = {"connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade"}
_RESERVED: Final = ("/v1", "/healthz")


class BadValue(ValueError):
    """A value is not what is needed; the text says what is."""


def check_name(text: str) -> None:
    """Of a bucket, an input, an output or a declared token."""
    if not _NAME.fullmatch(text):
        raise BadValue("a name has 1 to 100 characters, none of them a control character")


def check_id(text: str) -> None:
    """Of a bucket, an input or an output."""
    if not _ID.fullmatch(text):
        raise BadValue("an ID has 1 to 64 letters, digits, - or _")


def check_header_name(name: str) -> None:
    """Of a header of an answer or a call."""
    if not _HEADER_NAME.fullmatch(name):
        raise BadValue("not a header's name")
    if name.lower() in _FRAMING:
        raise BadValue(f"{name} is the server's own affair")


def check_header_value(value: str) -> None:
    """Of a header of an answer or a call."""
    if not _HEADER_VALUE.fullmatch(value):
        raise BadValue("a header can't hold this")


def check_url(text: str) -> None:
    """An output's destination."""
    try:
        url = urlsplit(text)
        good = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    if not good or len(text) > 2000 or not text.isprintable() or " " in text:
        raise BadValue("a URL is needed, http://… or https://…")


def check_host(text: str) -> None:
    """An input's own host name."""
    if not _HOST.fullmatch(text):
        raise BadValue("a host name in lower case is needed, without a port")


def check_path(text: str) -> None:
    """An input's own path."""
    if not _PATH.fullmatch(text):
        raise BadValue("a path such as /github is needed, without a slash at its end")
    if any(text == one or text.startswith(f"{one}/") for one in _RESERVED):
        raise BadValue(f"{' and '.join(_RESERVED)} are the relay's own")


def parse_rate(text: str) -> Rate:
    """A rate such as `10/s`, `60/1m` or `1000/24h`.

    Raises:
        BadValue: it is none.
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise BadValue("a rate such as 10/s or 60/5m is needed")
    return Rate(int(found[1]), int(found[2] or 1) * _SECONDS[found[3]])


def rate_text(rate: Rate) -> str:
    """A rate as it is written."""
    unit = next(one for one in ("h", "m", "s") if rate.seconds % _SECONDS[one] == 0)
    return f"{rate.count}/{rate.seconds / _SECONDS[unit]:g}{unit}"
