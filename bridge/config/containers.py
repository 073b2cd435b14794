"""Shapes that hold others: lists, mappings of names, values that are written in more than one way."""

import re
from dataclasses import dataclass
from typing import Any, TypeVar

from bridge.config import slips
from bridge.config.nodes import Broken, Mapping, Node, Scalar, Sequence
from bridge.config.problems import Code, Position, quoted
from bridge.config.reader import Invalid, Reader, found
from bridge.config.shapes import Schema, Shape

NodeT = TypeVar("NodeT", Sequence, Mapping)


def expect(kind: type[NodeT], node: Node, reader: Reader, expected: str, hint: str | None) -> NodeT:
    """As `Reader.expect`, with help, and never repeating a text, which could be a secret.

    Raises:
        Invalid: it is something else.
    """
    if isinstance(node, kind | Broken) or hint is None:
        return reader.expect(kind, node, expected)
    what = "a text" if isinstance(node, Scalar) and isinstance(node.value, str) else found(node)
    raise reader.wrong(Code.WRONG_TYPE, node, f"expected {expected}, found {what}", hint)


@dataclass(frozen=True, slots=True)
class Placed:
    """A value together with its place, for problems that show only later."""

    shape: Shape

    @property
    def expects(self) -> str:
        """What the shape expects."""
        return self.shape.expects

    def read(self, node: Node, reader: Reader) -> tuple[Any, Position]:
        """The value and its place."""
        return self.shape.read(node, reader), node.position

    def json_schema(self) -> Schema:
        """The shape's."""
        return self.shape.json_schema()


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values alike."""

    item: Shape
    least: int = 0
    expects: str = "a list"

    def read(self, node: Node, reader: Reader) -> list[Any]:
        """The items that can be used."""
        sequence = expect(Sequence, node, reader, self.expects, _list_help(node))
        if len(sequence.items) < self.least:
            raise reader.wrong(Code.BAD_VALUE, node, "this list is empty")
        values = []
        for item in sequence.items:
            try:
                values.append(self.item.read(item, reader))
            except Invalid:
                continue
        return values

    def json_schema(self) -> Schema:
        """An array."""
        schema = {"type": "array", "items": self.item.json_schema()}
        return schema | ({"minItems": self.least} if self.least else {})


@dataclass(frozen=True, slots=True)
class MappingOf:
    """Names of the user's choice, each with a value."""

    value: Shape
    name: str = r"[A-Za-z0-9_-]{1,64}"
    """Pattern of a name, in what Python's regular expressions and JavaScript's have in common."""
    expects: str = "a mapping of names"

    def read(self, node: Node, reader: Reader) -> dict[str, Any]:
        """The values that can be used, by name."""
        values = {}
        for key, value in expect(Mapping, node, reader, self.expects, mapping_help(node)).entries.values():
            try:
                if not re.fullmatch(self.name, key.text):
                    raise reader.wrong(Code.BAD_VALUE, key, f"{quoted(key.text)} can't be a name here")
                values[key.text] = self.value.read(value, reader)
            except Invalid:
                continue
        return values

    def json_schema(self) -> Schema:
        """An object with any properties whose names fit."""
        names = {"pattern": f"^(?:{self.name})$"}
        return {
            "type": "object",
            "propertyNames": names,
            "additionalProperties": self.value.json_schema(),
        }


@dataclass(frozen=True, slots=True)
class ByKind:
    """A value that is written in more than one way: as text, as a list or as a mapping."""

    scalar: Shape | None = None
    sequence: Shape | None = None
    mapping: Shape | None = None

    @property
    def expects(self) -> str:
        """The ways, in words."""
        return ", or ".join(way.expects for way in self.ways)

    @property
    def ways(self) -> tuple[Shape, ...]:
        """The shapes that there are."""
        return tuple(way for way in (self.scalar, self.sequence, self.mapping) if way)

    def read(self, node: Node, reader: Reader) -> Any:
        """The value as the shape for this kind of node reads it."""
        if isinstance(node, Broken):
            raise Invalid
        shape = {Scalar: self.scalar, Sequence: self.sequence, Mapping: self.mapping}[type(node)]
        if shape is None:
            raise reader.wrong(Code.WRONG_TYPE, node, f"expected {self.expects}, found {found(node)}")
        return shape.read(node, reader)

    def json_schema(self) -> Schema:
        """Any of the ways."""
        return {"anyOf": [way.json_schema() for way in self.ways]}


def mapping_help(node: Node) -> str | None:
    """Help where a mapping should stand."""
    match node:
        case Scalar(value=str(text)):
            return slips.without_space(text)
        case Sequence(items=[Mapping(), *_]):
            return "remove the dashes"
    return None


def _list_help(node: Node) -> str | None:
    match node:
        case Mapping(entries=entries):
            plain = (key for key, (_, value) in entries.items() if isinstance(value, Scalar))
            first = next(plain, None)
            return f"start each item with a dash: `- {first}: …`" if first else "start each item with a dash"
        case Scalar(value=str()):
            return "put it into brackets: […]"
    return None
