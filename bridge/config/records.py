"""A mapping with known keys, each with its shape, its default and one line of description."""

from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.config import slips
from bridge.config.containers import expect, mapping_help
from bridge.config.nodes import Mapping, Node
from bridge.config.problems import Code, quoted
from bridge.config.reader import Invalid, Reader
from bridge.config.shapes import Duration, Schema, Shape, Size

REQUIRED: Final = object()
"""The default of a key that has to be written."""
_INVALID: Final = object()


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a record."""

    name: str
    shape: Shape
    description: str
    default: Any = REQUIRED

    @property
    def written_default(self) -> str | int | None:
        """The default as a file would say it; None where it has to be written, or can't be."""
        default, shape = self.default, self.shape
        if isinstance(shape, Duration | Size) and isinstance(default, int | float):
            return shape.written(default)
        return default if isinstance(default, str | int) else None

    def json_schema(self) -> Schema:
        """The shape's schema, with meaning and default."""
        schema = {"description": self.description} | self.shape.json_schema()
        return schema if self.written_default is None else schema | {"default": self.written_default}


class Fields(AbstractMapping[str, Any]):
    """What a record says: a value for each key it can have, defaults included.

    Asking for a value that the file has wrong raises Invalid: what needs it is left out, and nothing else.
    """

    def __init__(self, node: Mapping, values: dict[str, Any]) -> None:
        self.node = node
        self._values = values

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        if value is _INVALID:
            raise Invalid
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def usable(self, key: str, otherwise: Any) -> Any:
        """The value of a key; `otherwise` where the file has it wrong."""
        value = self._values[key]
        return otherwise if value is _INVALID else value

    def given(self, key: str) -> bool:
        """Whether the file has the key."""
        return key in self.node.entries

    def node_of(self, key: str) -> Node:
        """The key's value in the file; the whole record where it is left out."""
        return self.node.entries[key][1] if self.given(key) else self.node

    def without(self, *keys: str) -> dict[str, Any]:
        """All values but these."""
        return {key: self[key] for key in self if key not in keys}


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping whose keys are known; any other is a mistake."""

    title: str
    keys: tuple[Key, ...]
    expects: str = "a mapping"

    def read(self, node: Node, reader: Reader) -> Fields:
        """The values of all keys."""
        mapping = expect(Mapping, node, reader, self.expects, mapping_help(node))
        names = [key.name for key in self.keys]
        for key, _ in mapping.entries.values():
            if key.text not in names:
                message = f"unknown key {quoted(key.text)} in {self.title}"
                hint = slips.unknown_key(self.title, key.text, names)
                reader.problems.add(Code.UNKNOWN_KEY, key.position, message, hint)
        return Fields(mapping, {key.name: _value(key, mapping, reader) for key in self.keys})

    def absent(self, place: Mapping) -> Fields:
        """What holds where the record is left out of a mapping; its keys must all have defaults."""
        return Fields(
            Mapping(place.source, place.line, place.column), {key.name: key.default for key in self.keys}
        )

    def json_schema(self) -> Schema:
        """An object with these properties and no others."""
        required = [key.name for key in self.keys if key.default is REQUIRED]
        schema = {"type": "object", "properties": {key.name: key.json_schema() for key in self.keys}}
        return schema | {"additionalProperties": False} | ({"required": required} if required else {})


def _value(key: Key, mapping: Mapping, reader: Reader) -> Any:
    """The value of one key; `_INVALID` where the file has none that can be used."""
    if key.name not in mapping.entries:
        if key.default is REQUIRED:
            reader.problems.add(Code.MISSING_KEY, mapping.position, f"the key '{key.name}' is missing")
            return _INVALID
        return key.default
    try:
        return key.shape.read(mapping.entries[key.name][1], reader)
    except Invalid:
        return _INVALID


@dataclass(frozen=True, slots=True)
class Tagged:
    """One of several records, told apart by a key that only one of them has."""

    title: str
    records: tuple[tuple[str, Record], ...]
    """The telling key, and its record."""

    @property
    def expects(self) -> str:
        """The telling keys."""
        return "a mapping with " + " or ".join(f"`{tag}:`" for tag, _ in self.records)

    def read(self, node: Node, reader: Reader) -> Fields:
        """The values of the record whose key is there."""
        mapping = reader.expect(Mapping, node, self.expects)
        present = [(tag, record) for tag, record in self.records if tag in mapping.entries]
        if len(present) > 1:
            message = f"{self.title} has either " + " or ".join(f"'{tag}'" for tag, _ in present)
            raise reader.wrong(Code.CONFLICT, mapping, message, "make two list items of it")
        if not present:
            tags = [tag for tag, _ in self.records]
            helps = (slips.unknown_key(self.title, key, tags) for key in mapping.entries)
            hint = next(filter(None, helps), None)
            raise reader.wrong(Code.MISSING_KEY, mapping, f"{self.title} is {self.expects}", hint)
        return present[0][1].read(mapping, reader)

    def json_schema(self) -> Schema:
        """One of the records."""
        return {"anyOf": [record.json_schema() for _, record in self.records]}
