"""Reading what schemes need from a webhook, strictly: what is doubtful is refused."""

import re
from datetime import UTC, datetime
from typing import Any, Final

from bridge.verify.verdict import Refusal
from bridge.webhook import Webhook

LONGEST_HEADER: Final = 8192
"""Characters; it bounds the signatures that one webhook can make us compare."""

_SECONDS: Final = re.compile(r"[0-9]{1,11}")


def sole_header(webhook: Webhook, name: str) -> str:
    """The value of a header that is sent exactly once.

    Raises:
        Refusal: it is missing, repeated, empty or too long. Of two values one would be a stranger's.
    """
    values = webhook.headers.get(name.lower(), ())
    if not values:
        raise Refusal("missing-header", f"there is no header {name}")
    if len(values) > 1:
        raise Refusal("malformed-header", f"the header {name} was sent {len(values)} times")
    if not 0 < len(values[0]) <= LONGEST_HEADER:
        raise Refusal("malformed-header", f"the header {name} has {len(values[0])} characters")
    return values[0]


def after_prefix(text: str, prefix: str, name: str) -> str:
    """A header's value without its fixed beginning.

    Raises:
        Refusal: it begins with something else.
    """
    if not text.startswith(prefix):
        raise Refusal("malformed-header", f"the header {name} does not begin with {prefix!r}")
    return text[len(prefix) :]


def unix_seconds(text: str, name: str) -> float:
    """The Unix time that decimal digits stand for.

    Raises:
        Refusal: they are no such digits.
    """
    if not _SECONDS.fullmatch(text):
        raise Refusal("malformed-header", f"the header {name} holds no Unix time in seconds")
    return float(text)


def iso_time(value: Any) -> float | None:
    """The Unix time of an ISO 8601 text, in UTC where it names no zone; None where it is no such text."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def text_member(document: Any, name: str) -> str | None:
    """A member of a JSON object that is text and not empty; else None."""
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) and value else None
