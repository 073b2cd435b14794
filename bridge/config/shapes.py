"""What one value of the routing file may be: small shapes, put together in `bridge.config.grammar`.

A shape is plain data, so that the JSON Schema and the reference are made of the same source, and it reads
a node: `read` gives the value, or notes what is wrong and raises `Invalid`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

from bridge.config import slips
from bridge.config.files import is_file
from bridge.config.nodes import Node, Scalar
from bridge.config.problems import Code, did_you_mean
from bridge.config.reader import Reader, found
from bridge.config.values import Url, parse_duration, parse_size, parse_url
from bridge.secret import Secret

T = TypeVar("T", int, float)

Schema = dict[str, Any]
"""A JSON Schema (draft-07)."""
ANY_TEXT: Final = r"[^\x00]+"


class Shape(Protocol):
    """How one value is written, and how it is read."""

    @property
    def expects(self) -> str:
        """What should stand there, in words: `a duration such as 15s`."""

    def read(self, node: Node, reader: Reader) -> Any:
        """The value; Invalid where the node holds none."""

    def json_schema(self) -> Schema:
        """What an editor is told: it refuses nothing that `read` takes, while `read` knows more."""


def text_schema(expects: str, pattern: str = ANY_TEXT, *examples: str) -> Schema:
    """Text that fits a pattern, or holds a ${…}, whose value only the loader knows.

    Args:
        expects: what should stand there, in words; editors that know `patternErrorMessage` say it.
        pattern: for the whole text, in what Python's regular expressions and JavaScript's have in common.
        examples: such texts.
    """
    schema: Schema = {"type": "string"}
    if pattern == ANY_TEXT:
        schema["minLength"] = 1
    else:
        schema |= {"pattern": rf"^(?:{pattern})$|\$\{{", "patternErrorMessage": f"expected {expects}"}
    return schema | ({"examples": list(examples)} if examples else {})


def any_case(words: str) -> str:
    """A pattern for words in any case; JavaScript has no `(?i:…)`."""
    return re.sub("[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", words)


@dataclass(frozen=True, slots=True)
class String:
    """Text, never empty."""

    pattern: str = ANY_TEXT
    expects: str = "text"
    examples: tuple[str, ...] = ()

    def read(self, node: Node, reader: Reader) -> str:
        """The text, references filled in."""
        text = reader.text(node, self.expects)
        if not re.fullmatch(self.pattern, text, re.DOTALL):
            message = f"expected {self.expects}" if text else "this text is empty"
            raise reader.wrong(Code.BAD_VALUE, node, message)
        _warn_of_shell_name(node, reader)
        return text

    def json_schema(self) -> Schema:
        """Text, perhaps with a pattern."""
        return text_schema(self.expects, self.pattern, *self.examples)


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
        _warn_of_shell_name(node, reader)
        return Secret(text)

    def json_schema(self) -> Schema:
        """Text; the examples are references, as the secret itself stays out of the file."""
        return text_schema(self.expects, ANY_TEXT, "${NAME}", "${file:/path}", "${credential:name}")


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

    def json_schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Off:
    """Nothing but `off`, for what is on where the file says nothing."""

    expects: str = "off"

    def read(self, node: Node, reader: Reader) -> Literal[False]:
        """False, also where it is written as a truth value."""
        scalar = reader.expect(Scalar, node, self.expects)
        if scalar.value is False or scalar.value == "off":
            return False
        hint = "leave it out, or say more about it"
        raise reader.wrong(Code.BAD_VALUE, node, f"expected {self.expects}, found {found(scalar)}", hint)

    def json_schema(self) -> Schema:
        """The word, and the truth value that it stands for."""
        return {"enum": ["off", False]}


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
            is_quoted = isinstance(scalar.value, str) and scalar.text.isdecimal()
            hint = "remove the quotes" if is_quoted else None
            raise reader.wrong(Code.WRONG_TYPE, node, f"expected {self.expects}, found {found(scalar)}", hint)
        if not self.least <= scalar.value <= self.most:
            raise reader.wrong(Code.BAD_VALUE, node, f"expected {self.expects}, found {found(scalar)}")
        return scalar.value

    def json_schema(self) -> Schema:
        """A whole number within bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


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

    def json_schema(self) -> Schema:
        """The words; also as the numbers that YAML takes them for."""
        return {"enum": [*self.words, *(int(word) for word in self.words if word.isdecimal())]}


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
        return _measure(node, reader, self, parse_duration, ("s", "ms", "m", "h"))

    def written(self, seconds: float) -> str:
        """Seconds as a file would say them."""
        return _in_units(seconds, parse_duration, ("h", "m", "s", "ms"))

    def json_schema(self) -> Schema:
        """A number with a unit."""
        return text_schema(self.expects, r"[0-9]{1,9}(?:\.[0-9]{1,3})?(?:ms|s|m|h)", self.least, self.most)


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
        return _measure(node, reader, self, parse_size, ("MiB", "B", "KiB", "GiB"))

    def written(self, size: float) -> str:
        """Bytes as a file would say them."""
        return _in_units(size, parse_size, ("GiB", "MiB", "KiB", "B"))

    def json_schema(self) -> Schema:
        """A number with a unit."""
        return text_schema(self.expects, "[0-9]{1,9}(?:B|KiB|MiB|GiB)", self.least, self.most)


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
            written = node.text if isinstance(node, Scalar) else ""
            hint = slips.url(str(error), written, self.schemes, self.instead)
            raise reader.wrong(Code.BAD_VALUE, node, f"this URL can't be used: {error}", hint) from None

    def json_schema(self) -> Schema:
        """Text that starts with one of the schemes."""
        schemes = any_case("|".join(self.schemes))
        return text_schema(self.expects, rf"(?:{schemes})://[^\s{{}}/?#@]+(?:/[^\s{{}}?#]*)?")


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

    def json_schema(self) -> Schema:
        """Text."""
        return text_schema(self.expects)


def _measure(
    node: Node, reader: Reader, shape: Duration | Size, parse: Callable[[str], T], units: tuple[str, ...]
) -> T:
    """The value of a number with a unit; `units` are suggested where it has none, the likeliest first."""
    least, most = parse(shape.least), parse(shape.most)
    scalar = reader.expect(Scalar, node, shape.expects)
    message = f"expected {shape.expects}, found {found(node)}"
    if not isinstance(scalar.value, str | None):
        number = scalar.value if type(scalar.value) is int else -1
        fitting = (unit for unit in units if least <= number * parse(f"1{unit}") <= most)
        hint = next((f"write the unit: {number}{unit}" for unit in fitting), None)
        raise reader.wrong(Code.WRONG_TYPE, node, message, hint)
    text = reader.text(node, shape.expects)
    try:
        value = parse(text)
    except ValueError as error:
        raise reader.wrong(Code.BAD_VALUE, node, f"{message}: {error}") from None
    if not least <= value <= most:
        raise reader.wrong(Code.BAD_VALUE, node, message)
    return value


def _in_units(value: float, parse: Callable[[str], float], units: tuple[str, ...]) -> str:
    """A number in the largest unit that leaves no fraction."""
    for unit in units:
        count = value / parse(f"1{unit}")
        if count >= 1 and count.is_integer():
            return f"{count:.0f}{unit}"
    return f"0{units[-1]}"


def _warn_of_shell_name(node: Node, reader: Reader) -> None:
    hint = slips.without_braces(node.text) if isinstance(node, Scalar) else None
    if hint:
        message = "this is only text, nothing is filled in"
        reader.problems.add(Code.NOT_FILLED_IN, node.position, message, hint)
