"""Reading the parameters of a query."""

from collections.abc import Mapping
from datetime import UTC, datetime

from bridge.selfhosted.api.door import ApiError


def number(asked: Mapping[str, str], name: str, default: int, highest: int) -> int:
    """A number; what is over the highest reads as that.

    Raises:
        ApiError: as all of these, naming the parameter.
    """
    text = asked.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ApiError(400, f"{name}: a number is needed")
    return min(int(text), highest)


def moment(asked: Mapping[str, str], name: str, default: float) -> float:
    """A time: Unix seconds or RFC 3339."""
    text = asked.get(name, "")
    if not text:
        return default
    try:
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return float(text)
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ApiError(400, f"{name}: Unix seconds or RFC 3339 is needed") from None


def choice(asked: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """One of some words; "" where nothing is asked."""
    text = asked.get(name, "")
    if text and text not in words:
        raise ApiError(400, f"{name}: one of {', '.join(words)}")
    return text


def rfc3339(when: float) -> str:
    """A time as text."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds")
