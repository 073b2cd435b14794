"""Values that are written as text: durations, sizes, URLs, addresses."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute URL without credentials."""

    scheme: str
    host: str
    port: int
    """The scheme's default where the URL has none."""
    path: str
    text: str
    """As written, without a trailing slash."""


def parse_duration(text: str) -> float:
    """Seconds of `20ms`, `15s`, `5m` or `72h`; ValueError otherwise."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError("not a number with ms, s, m or h")
    return float(found[1]) * _SECONDS[found[2]]


def parse_size(text: str) -> int:
    """Bytes of `512B`, `64KiB`, `256MiB` or `1GiB`; ValueError otherwise."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError("not a whole number with B, KiB, MiB or GiB")
    return int(found[1]) * _BYTES[found[2]]


def parse_url(text: str, schemes: tuple[str, ...]) -> Url:
    """A URL of one of the schemes; ValueError, which never repeats the URL, otherwise."""
    if not _URL_TEXT.fullmatch(text):
        raise ValueError("a URL can't hold spaces, braces or control characters")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:  # brackets that are no IPv6 address, a port that is no number
        raise ValueError("it has no valid host and port") from None
    if parts.scheme not in schemes or not parts.netloc:
        raise ValueError(f"it has to start with {_alternatives(schemes)}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it can't hold credentials, as URLs are shown in logs")
    if not host or not _HOST.fullmatch(host) or port == 0:
        raise ValueError("it has no valid host and port")
    if parts.query or parts.fragment:
        raise ValueError("it can't have a query or a fragment")
    return Url(parts.scheme, host, port or _PORTS[parts.scheme], parts.path, text.rstrip("/"))


def parse_listen(text: str) -> tuple[str, int] | Path:
    """Host and port (0: any that is free), or the path of a Unix socket; ValueError otherwise."""
    path = text.removeprefix("unix:")
    if path.startswith("/") and "\0" not in path:
        return Path(path)
    found = _LISTEN.fullmatch(text)
    if not found or int(found["port"]) > 65535:
        raise ValueError("write an address and a port such as 127.0.0.1:8765, or the path of a socket")
    return found["host"].strip("[]"), int(found["port"])


def _alternatives(schemes: tuple[str, ...]) -> str:
    *most, last = (f"{scheme}://" for scheme in schemes)
    return f"{', '.join(most)} or {last}" if most else last


_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)")
_SIZE = re.compile(r"([0-9]{1,9})(B|KiB|MiB|GiB)")
_LISTEN = re.compile(r"(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_URL_TEXT = re.compile(r"[^\s\x00-\x1f\x7f{}]+")
_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]+(?:%[\w.-]+)?")
