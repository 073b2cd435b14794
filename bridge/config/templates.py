"""Reading templates, and values made of them."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from bridge.config import slips
from bridge.config.nodes import Mapping, Node, Scalar, Sequence
from bridge.config.problems import Code
from bridge.config.reader import Invalid, Reader
from bridge.config.shapes import Schema, SecretText
from bridge.errors import TemplateError
from bridge.routing.payload import JsonPayload, Payload, TextPayload
from bridge.routing.table import NO_ORDER, NoOrder
from bridge.routing.template import Place, Template, compile_template
from bridge.secret import Secret

_OPENINGS = ("{{", "{%", "{#")
_EXAMPLES: Final = {
    Place.TEXT: "{{ header['x-github-delivery'] }}",
    Place.TOPIC: "home/doorbell/{{ body.door }}/ring",
    Place.URL: "http://127.0.0.1:1880/doors/{{ body.door }}",
    Place.HEADER: "{{ id }}",
    Place.VALUE: "{{ form.text | lower in ('on', 'off') }}",
}
_SHOWN = frozenset({Place.TOPIC, Place.URL})
# Routes repeat themselves, and a reload repeats nearly all of them.
_compile = lru_cache(maxsize=1024)(compile_template)


@dataclass(frozen=True, slots=True)
class TemplateIn:
    """A Jinja2 template; its place decides how what it yields is confined."""

    place: Place
    expects: str = "text, perhaps with {{ … }}"

    def read(self, node: Node, reader: Reader) -> Template:
        """The template, compiled."""
        return compiled(reader.text(node, self.expects), node, self.place, reader)

    def json_schema(self) -> Schema:
        """Text, in a topic at least some; what is in the braces is for the loader to judge."""
        schema: Schema = {"type": "string", "examples": [_EXAMPLES[self.place]]}
        return schema | ({"minLength": 1} if self.place is Place.TOPIC else {})


@dataclass(frozen=True, slots=True)
class OrderShape:
    """What keeps its order."""

    expects: str = "text, perhaps with {{ … }}, or none"

    def read(self, node: Node, reader: Reader) -> Template | NoOrder:
        """The template; NO_ORDER for `none`."""
        if isinstance(node, Scalar) and node.value == "none":
            return NO_ORDER
        return TemplateIn(Place.TEXT, self.expects).read(node, reader)

    def json_schema(self) -> Schema:
        """Text."""
        return {"type": "string", "examples": ["{{ body.repository.full_name }}", "none"]}


@dataclass(frozen=True, slots=True)
class HeaderShape:
    """The value of a header: a template, or a secret, which is added when it is sent and stored nowhere."""

    expects: str = "text, with {{ … }} or ${…}"

    def read(self, node: Node, reader: Reader) -> Template | Secret:
        """The template or the secret."""
        if not isinstance(node, Scalar) or "${" not in node.text:
            return TemplateIn(Place.HEADER, self.expects).read(node, reader)
        if any(opening in node.text for opening in _OPENINGS):
            raise reader.wrong(Code.CONFLICT, node, "a header has either {{ … }} or ${…}, not both")
        return SecretText(header=True).read(node, reader)

    def json_schema(self) -> Schema:
        """Text, which may be empty."""
        return {"type": "string", "examples": ["{{ body.id }}", "Bearer ${NAME}"]}


@dataclass(frozen=True, slots=True)
class PayloadShape:
    """What a message carries: a template, or JSON whose texts are templates."""

    expects: str = "text, perhaps with {{ … }}, or a mapping or list that becomes JSON"

    def read(self, node: Node, reader: Reader) -> Payload:
        """The payload, its templates compiled."""
        if isinstance(node, Scalar) and isinstance(node.value, str | None):
            return TextPayload(TemplateIn(Place.TEXT, self.expects).read(node, reader))

        def leaf(scalar: Scalar) -> Any:
            if not isinstance(scalar.value, str):
                return scalar.value
            return TemplateIn(Place.VALUE).read(scalar, reader)

        return JsonPayload(tree(node, reader, leaf))

    def json_schema(self) -> Schema:
        """Any JSON but null."""
        example = {"door": "{{ body.door }}", "count": "{{ body.items | length }}"}
        return {"type": ["string", "object", "array", "number", "boolean"], "examples": [example]}


@dataclass(frozen=True, slots=True)
class Anything:
    """Any value that JSON can hold."""

    expects: str = "a value"

    def read(self, node: Node, reader: Reader) -> Any:
        """The value as JSON would have it, references filled in."""

        def leaf(scalar: Scalar) -> Any:
            return reader.text(scalar, self.expects) if isinstance(scalar.value, str) else scalar.value

        return tree(node, reader, leaf)

    def json_schema(self) -> Schema:
        """Any JSON."""
        return {}


def tree(node: Node, reader: Reader, leaf: Callable[[Scalar], Any]) -> Any:
    """A JSON value, its scalars as `leaf` reads them; None stands for those that it can't read."""
    match node:
        case Mapping():
            return {key: tree(value, reader, leaf) for key, (_, value) in node.entries.items()}
        case Sequence():
            return [tree(item, reader, leaf) for item in node.items]
        case Scalar(value=float(number)) if not math.isfinite(number):
            reader.problems.add(Code.BAD_VALUE, node.position, "JSON can't hold this number")
        case Scalar():
            try:
                return leaf(node)
            except Invalid:
                return None
    return None


def compiled(text: str, node: Node, place: Place, reader: Reader, *, prefix: str = "") -> Template:
    """The template of a text, its mistakes placed in the file.

    Args:
        text: what the node says, its references filled in.
        node: where it stands.
        place: where what it yields will go.
        reader: takes the problems.
        prefix: put before the text, such as a service's URL.

    Raises:
        Invalid: it can't be compiled.
    """
    written = node.text if isinstance(node, Scalar) else text
    if any(text.count(opening) > written.count(opening) for opening in _OPENINGS):
        raise reader.wrong(Code.TEMPLATE, node, "what a ${…} stands for can't be part of a template")
    if place in _SHOWN and re.search(r"\$\{(file|credential):", written):
        hint = "send it as a header" if place is Place.URL else None
        raise reader.wrong(Code.TEMPLATE, node, "a topic or URL can't hold a secret, as both are shown", hint)
    try:
        template = _compile(prefix + text, place)
    except RecursionError:
        raise reader.wrong(Code.TEMPLATE, node, "this template is nested too deeply") from None
    except TemplateError as error:
        if text != written:  # the message could hold what was filled in
            message = "this can't be compiled once its ${…} are filled in"
            raise reader.wrong(Code.TEMPLATE, node, message) from None
        offset = max(0, error.offset - len(prefix))
        where = node.at(offset) if isinstance(node, Scalar) else node
        raise reader.wrong(Code.TEMPLATE, where, str(error), slips.template(str(error), text)) from None
    return template if text == written or place in _SHOWN else template.concealed(written)


def refers(node: Node) -> bool:
    """Whether a value is made of ${…} references, in whole or in part."""
    match node:
        case Scalar():
            return "${" in node.text
        case Sequence():
            return any(refers(item) for item in node.items)
        case Mapping():
            return any(refers(value) for _, value in node.entries.values())
    return False
