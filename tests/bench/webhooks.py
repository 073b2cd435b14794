"""The webhooks of a benchmark: a push as GitHub sends it, numbered and stamped, encoded ahead of time."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

NUMBER_DIGITS: Final = 20
STAMP_DIGITS: Final = 20
BODY_BYTES: Final = 1024

_MARK = re.compile(rb'"after":"(\d{20})(\d{20})"')
_NUMBER, _STAMP, _TAIL = "@" * NUMBER_DIGITS, "#" * STAMP_DIGITS, "$" * 12
_TEXT = "Close the valve when the tank is full. "

PLACES: Final = ((_TAIL, b"%012d"), (_NUMBER, b"%020d"), (_STAMP, b"%020d"))
"""In a frame, where its number goes (two times), the body's number and its stamp; and their directives."""


def read_mark(payload: bytes, start: int = 0) -> tuple[int, int]:
    """The number of a webhook and when it was sent (monotonic nanoseconds), from its delivered body.

    Both stand where GitHub has the new commit's SHA: forty digits are a valid one.

    Raises:
        ValueError: the body is not one of ours, or was changed on the way.
    """
    mark = _MARK.search(payload, start)
    if mark is None:
        raise ValueError(f"not a webhook of this benchmark: {payload[start : start + 200]!r}")
    return int(mark[1]), int(mark[2])


def batch(first: int, count: int, now: int) -> bytes:
    """WebSocket messages, back to back, of `count` webhooks from number `first` on, stamped `now`."""
    return b"".join([_MESSAGE % (n, n, n, now) for n in range(first, first + count)])


def body(size: int = BODY_BYTES) -> str:
    """The body of a push, with places for number and stamp; of less than it takes by itself, a shorter one.

    Args:
        size: bytes, at least 100.
    """
    form = _note if size < BODY_BYTES else partial(_push, commits=_commits(size - BODY_BYTES))
    short = size - len(form(""))
    return form((_TEXT * (short // len(_TEXT) + 1))[:short])


def frame(
    text: str | None = None,
    *,
    bucket: str = "bench",
    bucket_id: str = "1593fe5f-1d9a-4a63-9f6b-4d5d6f3a7c11",
    headers: Mapping[str, str] | None = None,
) -> str:
    """The relay's frame of a push, with places for number and stamp.

    Args:
        text: the body; left out: one of 1 KiB.
        bucket: its name.
        bucket_id: its ID.
        headers: of the request, besides GitHub's.
    """
    unique = f"b90f2fe9-6a4c-4f9d-8a1e-{_TAIL}"
    return _compact(
        {
            "type": "webhook",
            "meta": {
                "id": unique,
                "bucked_id": bucket_id,
                "bucket_name": bucket,
                "input_id": "4f0c2b7e-55d1-4b7e-a7c5-0a5f2f8f1d22",
                "input_name": "Default public endpoint",
                "output_name": "",
                "output_destination": "/",
            },
            "headers": {
                "Accept": ["*/*"],
                "Content-Type": ["application/json"],
                "User-Agent": ["GitHub-Hookshot/044aadd"],
                "X-Github-Delivery": [unique],
                "X-Github-Event": ["push"],
                "X-Github-Hook-Id": ["292430182"],
                **{name: [value] for name, value in (headers or {}).items()},
            },
            "query": "",
            "body": body() if text is None else text,
            "method": "POST",
        }
    )


def template(payload: str, places: Iterable[tuple[str, bytes]] = PLACES) -> bytes:
    """One unmasked text message (RFC 6455, 5.2) as a %-template; its length never changes.

    Args:
        payload: the frame.
        places: texts in it, each with the directive that makes as many bytes.
    """
    content = payload.encode()
    filled = (_head(len(content)) + content).replace(b"%", b"%%")
    for place, directive in places:
        filled = filled.replace(place.encode(), directive)
    return filled


def _head(length: int) -> bytes:
    if length < 126:
        return bytes((0x81, length))
    return b"\x81\x7e" + length.to_bytes(2) if length < 1 << 16 else b"\x81\x7f" + length.to_bytes(8)


def _note(message: str) -> str:
    return _compact({"after": _NUMBER + _STAMP, "repository": {"name": "greenhouse"}, "note": message})


def _commits(room: int) -> list[object]:
    """As many commits as go into so many bytes of a push."""
    person = {"name": "Ada Example", "email": "ada@example.org", "username": "ada"}
    commit = {
        "id": "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c",
        "message": _TEXT,
        "timestamp": "2026-01-01T12:00:00+01:00",
        "author": person,
        "added": [],
        "removed": [],
        "modified": ["valves/tank.yaml", "README.md"],
    }
    key = len('"commits":[],')
    return [commit] * max(0, (room - key) // (len(_compact(commit)) + 1))


def _push(message: str, commits: list[object] | None = None) -> str:
    author = {"name": "Ada Example", "email": "ada@example.org", "username": "ada"}
    repository = {
        "id": 186853002,
        "name": "greenhouse",
        "full_name": "example/greenhouse",
        "private": False,
        "html_url": "https://github.com/example/greenhouse",
        "default_branch": "main",
    }
    return _compact(
        {
            "ref": "refs/heads/main",
            "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
            "after": _NUMBER + _STAMP,
            "repository": repository,
            "pusher": {"name": "ada", "email": "ada@example.org"},
            "sender": {"login": "ada", "id": 21031067, "type": "User"},
            "created": False,
            "deleted": False,
            "forced": False,
            "compare": "https://github.com/example/greenhouse/compare/6113728f27ae...0d1a26e67d8f",
            "head_commit": {
                "id": "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c",
                "message": message,
                "author": author,
            },
            **({"commits": commits} if commits else {}),
        }
    )


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


_MESSAGE: Final = template(frame())
