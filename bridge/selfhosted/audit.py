"""Who changed which resource. A record names what was changed and holds no value, so no secret either."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any, Final

logger = logging.getLogger(__name__)

MOST: Final = 10_000
"""Records that are kept, the newest."""
_TIMES: Final = frozenset({"created_at", "updated_at"})


@dataclass(frozen=True, slots=True)
class Author:
    """Who is at work: a token's key, or a user of the command line."""

    name: str
    address: str = ""


AUTHOR: Final[ContextVar[Author]] = ContextVar("author")
"""Of the changes that follow. Known where a request comes in, and needed where it is written down."""


@dataclass(frozen=True, slots=True)
class Change:
    """One record."""

    at: float
    """Unix time in seconds."""
    by: str
    address: str
    action: str
    """`create`, `change` or `remove`."""
    kind: str
    """`bucket` or `token`."""
    id: str
    name: str
    fields: tuple[str, ...]
    """Of a change: `auth`, or `inputs/<ID>`."""

    def tell(self) -> None:
        """A line in the log."""
        logger.info(
            "action=%s kind=%s id=%a name=%a fields=%a by=%a address=%s",
            *(self.action, self.kind, self.id, self.name, ",".join(self.fields), self.by, self.address),
        )

    def document(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return asdict(self)


def change_of(kind: str, name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Change:
    """What the author at work does to a document; None: it is not there, before or afterwards."""
    author = AUTHOR.get(Author("unknown"))
    action = "create" if old is None else "remove" if new is None else "change"
    shown = (old if new is None else new) or {}
    fields = tuple(_differences(old, new)) if old is not None and new is not None else ()
    label = str(shown.get("name") or shown.get("description") or "")
    return Change(round(time.time(), 6), author.name, author.address, action, kind, name, label, fields)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for field in sorted((old.keys() | new.keys()) - _TIMES):
        before, after = old.get(field), new.get(field)
        if isinstance(before, list) and isinstance(after, list) and _is_parts(before + after):
            known, now = _by_id(before), _by_id(after)
            yield from (f"{field}/{one}" for one in sorted(known | now) if known.get(one) != now.get(one))
        elif before != after:
            yield field


def _is_parts(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(one, dict) and "id" in one for one in values)


def _by_id(parts: list[Any]) -> dict[str, Any]:
    return {str(one["id"]): {name: one[name] for name in one.keys() - _TIMES} for one in parts}
