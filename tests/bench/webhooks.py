"""The webhooks of a benchmark: a push as GitHub sends it, numbered and stamped, encoded ahead of time."""

import json
import re
from typing import Final

NUMBER_DIGITS: Final = 20
STAMP_DIGITS: Final = 20
BODY_BYTES: Final = 1024

_MARK = re.compile(rb'"after":"(\d{20})(\d{20})"')
_NUMBER, _STAMP, _TAIL = "@" * NUMBER_DIGITS, "#" * STAMP_DIGITS, "$" * 12


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


def body() -> str:
    """The body of a push, 1 KiB long, with places for number and stamp."""
    short = BODY_BYTES - len(_push(""))
    return _push(("Close the valve when the tank is full. " * 20)[:short])


def frame() -> str:
    """The relay's frame of a push, with places for number and stamp."""
    unique = f"b90f2fe9-6a4c-4f9d-8a1e-{_TAIL}"
    return _compact(
        {
            "type": "webhook",
            "meta": {
                "id": unique,
                "bucked_id": "1593fe5f-1d9a-4a63-9f6b-4d5d6f3a7c11",
                "bucket_name": "bench",
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
            },
            "query": "",
            "body": body(),
            "method": "POST",
        }
    )


def _push(message: str) -> str:
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
        }
    )


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _message() -> bytes:
    """One unmasked text message (RFC 6455, 5.2) as a %-template; its length never changes."""
    payload = frame().encode()
    head = b"\x81\x7e" + len(payload).to_bytes(2)
    places = ((_TAIL, b"%012d"), (_NUMBER, b"%020d"), (_STAMP, b"%020d"))
    template = (head + payload).replace(b"%", b"%%")
    for place, directive in places:
        template = template.replace(place.encode(), directive)
    return template


_MESSAGE: Final = _message()
