"""What must be known of earlier publications, also of another process': none may stay behind."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

from bridge.home.discovery import DECLARABLE, MOST_TYPES

NOTE: Final = "home"
MOST_GONE: Final = 64
"""Entities of the past whose removal is repeated."""


@dataclass(slots=True)
class Memory:
    """What was published before, as a note of the journal."""

    broker: str = ""
    """Its address: what another one keeps is out of reach."""
    retained: list[str] = field(default_factory=list)
    """Topics that the broker keeps."""
    components: dict[str, str] = field(default_factory=dict)
    """Home Assistant's entities, those of the past too: the platform by ID."""
    types: dict[str, list[str]] = field(default_factory=dict)
    """Event types that were seen, by route."""
    dead: int | None = None
    """ID of the last dead letter that was told of; None: those before the first look are no news."""

    @classmethod
    def read(cls, note: bytes | None) -> "Memory":
        """What a note holds; nothing where it is none of ours."""
        try:
            return cls(**orjson.loads(note or b"{}"))
        except (orjson.JSONDecodeError, TypeError):
            return cls()

    def note(self) -> bytes:
        """Itself, to be kept."""
        return orjson.dumps(asdict(self))

    def learn(self, route: str, event_type: str) -> bool:
        """Remember a type that a route had; whether it is new, and can be declared."""
        known = self.types.setdefault(route, [])
        if event_type in known or len(known) >= MOST_TYPES or not DECLARABLE.fullmatch(event_type):
            return False
        known.append(event_type)
        return True

    def known(self, routes: Iterable[str]) -> dict[str, list[str]]:
        """The types of these routes; those of others are forgotten."""
        self.types = {route: self.types.get(route, []) for route in routes}
        return self.types

    def gone(self, components: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Entities of the past by ID: the platforms of those that are not among the present ones."""
        past = {name: platform for name, platform in self.components.items() if name not in components}
        past = dict(list(past.items())[-MOST_GONE:])
        self.components = past | {name: component["p"] for name, component in components.items()}
        return past
