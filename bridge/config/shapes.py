"""What a value of the routing file may be: small shapes, put together in `bridge.config.grammar`.

A shape is plain data, so that the JSON Schema and the reference can be made of the same source, and it reads
a node: `read` gives the value, or notes what is wrong and raises `Invalid`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bridge.config.files import is_file
from bridge.config.nodes import Broken, Mapping, Node, Scalar, Sequence
from bridge.config.problems import Code, Position, did_you_mean, quoted
from bridge.config.reader import Invalid, Reader, found
from bridge.config.values import Url, parse_duration, parse_size, parse_url
from bridge.secret import Secret

T = TypeVar("T", int, float)


class Shape(Protocol):
    """How one value is written, and how it is read."""

    @property
    def expects(self) -> str:
        """What should stand there, in words: `a duration such as 15s`."""

    def read(self, node: Node, reader: Reader) -> Any:
        """The value; Invalid where the node holds none."""


@dataclass(frozen=True, slots=True)
class String:
    """Text, never empty."""

    pattern: str = r"[^\x00]+"
    expects: str = "text"

    def read(self, node: Node, reader: Reader) -> str:
        """The text, references filled in."""
        text = reader.text(node, self.expects)
        if not re.fullmatch(self.pattern, text, re.DOTALL):
            message = f"expected {self.expects}" if text else "this text is empty"
            raise reader.wrong(Code.BAD_VALUE, node, message)
        return text


@dataclass(frozen=True, slots=True)
class SecretText:
    """Text that is shown nowhere."""

    header: bool = False
    """Whether it is sent as a header, where a line break would be an injection."""
    expects: str = "a secret such as ${NAME}"

    def read(self, node: Node, reader: Reader) -> Secret:
        """The secret, references filled in."""
        if isinstance(node, Scalar) and not isinstance(
            node.value, str | None
        ):  # the message must not repeat it
            raise reader.wrong(Code.WRONG_TYPE, node, f"expected {self.expects}", "quote it to make it text")
        text = reader.text(node, self.expects)
        if not text:
            raise reader.wrong(Code.BAD_VALUE, node, "this secret is empty")
        if self.header and re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
            raise reader.wrong(Code.BAD_VALUE, node, "a header can't hold control characters")
        return Secret(text)


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false."""

    expects: str = "true or false"

    def read(self, node: Node, reader: Reader) -> bool:
        """The truth value; `yes` and `on` are text in YAML 1.2."""
        scalar = reader.expect(Scalar, node, self.expects)
        if isinstance(scalar.value, bool):
            return scalar.value
        word = scalar.text.lower()
        hint = "write true" if word in {"yes", "on"} else "write false" if word in {"no", "off"} else None
        raise reader.wrong(Code.WRONG_TYPE, node, f"expected {self.expects}, found {found(scalar)}", hint)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number."""

    least: int
    most: int

    @property
    def expects(self) -> str:
        """The range, in words."""
        return f"a whole number from {self.least} to {self.most}"

    def read(self, node: Node, reader: Reader) -> int:
        """The number."""
        scalar = reader.expect(Scalar, node, self.expects)
        if type(scalar.value) is not int:  # a boolean is an int to isinstance
            raise reader.wrong(Code.WRONG_TYPE, node, f"expected {self.expects}, found {found(scalar)}")
        if not self.least <= scalar.value <= self.most:
            raise reader.wrong(Code.BAD_VALUE, node, f"expected {self.expects}, found {found(scalar)}")
        return scalar.value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def expects(self) -> str:
        """The words."""
        return " or ".join(self.words) if len(self.words) < 3 else "one of " + ", ".join(self.words)

    def read(self, node: Node, reader: Reader) -> str:
        """The word; also where YAML takes it for a number."""
        scalar = reader.expect(Scalar, node, self.expects)
        if scalar.text not in self.words:
            message = f"expected {self.expects}, found {found(scalar)}"
            raise reader.wrong(Code.BAD_VALUE, node, message, did_you_mean(scalar.text, self.words))
        return scalar.text


@dataclass(frozen=True, slots=True)
class Duration:
    """A time span; seconds inside."""

    least: str
    most: str

    @property
    def expects(self) -> str:
        """The range, in words."""
        return f"a duration from {self.least} to {self.most}"

    def read(self, node: Node, reader: Reader) -> float:
        """Seconds."""
        return _measure(node, reader, self, parse_duration, "s")


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes."""

    least: str
    most: str

    @property
    def expects(self) -> str:
        """The range, in words."""
        return f"a size from {self.least} to {self.most}"

    def read(self, node: Node, reader: Reader) -> int:
        """Bytes."""
        return _measure(node, reader, self, parse_size, "MiB")


@dataclass(frozen=True, slots=True)
class UrlOf:
    """An absolute URL without credentials, query and fragment."""

    schemes: tuple[str, ...]
    instead: str
    """What to do with credentials."""

    @property
    def expects(self) -> str:
        """An example."""
        return f"a URL such as {self.schemes[0]}://…"

    def read(self, node: Node, reader: Reader) -> Url:
        """The URL with its parts."""
        try:
            return parse_url(reader.text(node, self.expects), self.schemes)
        except ValueError as error:
            hint = self.instead if "credentials" in str(error) else None
            raise reader.wrong(Code.BAD_VALUE, node, f"this URL can't be used: {error}", hint) from None


@dataclass(frozen=True, slots=True)
class FilePath:
    """A file; a relative path starts at the routing file's folder."""

    exists: bool = True
    expects: str = "a path"

    def read(self, node: Node, reader: Reader) -> Path:
        """The path."""
        text = reader.text(node, self.expects)
        path = reader.folder / text
        if not text or "\0" in text:
            raise reader.wrong(Code.BAD_VALUE, node, "this is no path")
        if self.exists and not is_file(path):
            raise reader.wrong(Code.BAD_VALUE, node, "there is no such file")
        return path


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


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values alike."""

    item: Shape
    least: int = 0
    expects: str = "a list"

    def read(self, node: Node, reader: Reader) -> list[Any]:
        """The items that can be used."""
        sequence = reader.expect(Sequence, node, self.expects)
        if len(sequence.items) < self.least:
            raise reader.wrong(Code.BAD_VALUE, node, "this list is empty")
        values = []
        for item in sequence.items:
            try:
                values.append(self.item.read(item, reader))
            except Invalid:
                continue
        return values


@dataclass(frozen=True, slots=True)
class MappingOf:
    """Names of the user's choice, each with a value."""

    value: Shape
    name: str = r"[A-Za-z0-9_-]{1,64}"
    """Pattern of a name."""
    expects: str = "a mapping of names"

    def read(self, node: Node, reader: Reader) -> dict[str, Any]:
        """The values that can be used, by name."""
        values = {}
        for key, value in reader.expect(Mapping, node, self.expects).entries.values():
            try:
                if not re.fullmatch(self.name, key.text):
                    raise reader.wrong(Code.BAD_VALUE, key, f"{quoted(key.text)} can't be a name here")
                values[key.text] = self.value.read(value, reader)
            except Invalid:
                continue
        return values


@dataclass(frozen=True, slots=True)
class ByKind:
    """A value that is written in more than one way: as text, as a list or as a mapping."""

    scalar: Shape | None = None
    sequence: Shape | None = None
    mapping: Shape | None = None

    @property
    def expects(self) -> str:
        """The ways, in words."""
        return ", or ".join(s.expects for s in (self.scalar, self.sequence, self.mapping) if s)

    def read(self, node: Node, reader: Reader) -> Any:
        """The value as the shape for this kind of node reads it."""
        if isinstance(node, Broken):
            raise Invalid
        shape = {Scalar: self.scalar, Sequence: self.sequence, Mapping: self.mapping}[type(node)]
        if shape is None:
            raise reader.wrong(Code.WRONG_TYPE, node, f"expected {self.expects}, found {found(node)}")
        return shape.read(node, reader)


def _measure(node: Node, reader: Reader, shape: Duration | Size, parse: Callable[[str], T], unit: str) -> T:
    scalar = reader.expect(Scalar, node, shape.expects)
    if scalar.value is not None and not isinstance(scalar.value, str):
        message = f"expected {shape.expects}, found {found(node)}"
        raise reader.wrong(Code.WRONG_TYPE, node, message, f"write the unit: {scalar.text[:9]}{unit}")
    text = reader.text(node, shape.expects)
    try:
        value = parse(text)
    except ValueError as error:
        message = f"expected {shape.expects}, found {found(node)}: {error}"
        raise reader.wrong(Code.BAD_VALUE, node, message) from None
    if not parse(shape.least) <= value <= parse(shape.most):
        raise reader.wrong(Code.BAD_VALUE, node, f"expected {shape.expects}, found {found(node)}")
    return value
