"""Templates: Jinja2 text whose expressions are confined to the place where they stand."""

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeVar, cast

from jinja2 import nodes

from bridge.errors import RenderError, TemplateError
from bridge.routing import confine
from bridge.routing.expression import Expression, compile_expression, program
from bridge.routing.literal import check_header, check_topic, check_url, url_text
from bridge.routing.sandbox import MAX_TEXT
from bridge.routing.scope import Scope
from bridge.routing.syntax import MAX_SOURCE, parse

T = TypeVar("T")


class Place(Enum):
    """Where a template stands; that decides what an expression in it may add."""

    TEXT = "text"
    TOPIC = "topic"
    """Each expression yields a part of one level."""
    URL = "url"
    """Each expression yields a part of one path segment or query value."""
    HEADER = "header"
    """Each expression yields a part of one line."""
    VALUE = "value"
    """As TEXT; asked for by `Template.value`."""


class Template:
    """A compiled template.

    Attributes:
        source: as it was written.
        constant: it yields the same for every webhook.
        secret: it holds what a reference stands for, so that what it yields is shown nowhere.
    """

    __slots__ = ("_render", "_value", "constant", "secret", "source")

    def __init__(
        self,
        source: str,
        *,
        constant: bool,
        render: Callable[[Scope], str],
        value: Expression | None,
        secret: bool = False,
    ) -> None:
        self.source = source
        self.constant = constant
        self.secret = secret
        self._render = render
        self._value: Expression = value or render

    def render(self, scope: Scope) -> str:
        """The text for one webhook.

        Raises:
            RenderError: the template fails on it, or yields what its place forbids.
        """
        return self._run(self._render, scope)

    def value(self, scope: Scope) -> Any:
        """The native value where the template is one whole `{{ … }}` in a TEXT or VALUE, else as `render`.

        Raises:
            RenderError: as `render`.
        """
        return self._run(self._value, scope)

    def concealed(self, source: str) -> "Template":
        """The same template, written with references instead of what they stand for."""
        return Template(source, constant=self.constant, render=self._render, value=self._value, secret=True)

    def _run(self, work: Callable[[Scope], T], scope: Scope) -> T:
        try:
            return work(scope)
        except RenderError:
            raise
        except Exception as error:  # noqa: BLE001 -- foreign code ran; its failure is one delivery's only
            raise RenderError(_reason(error)) from None


def compile_template(source: str, place: Place) -> Template:
    """A template for its place.

    Raises:
        TemplateError: its syntax, a name, filter or method that isn't there, or text that its place forbids.
    """
    if len(source) <= MAX_SOURCE and not any(opening in source for opening in _OPENINGS):
        return _plain(source, place)
    tree = parse(source)
    pieces = _pieces(tree)
    constant = tree.find(nodes.Name) is None
    value = None
    if pieces is None:
        if place not in {Place.TEXT, Place.VALUE}:
            raise TemplateError(f"statements ({{% … %}}) can't stand in a {place.value}", source.find("{%"))
        render = _program(tree)
    else:
        render = _joiner(_parts(source, pieces, place), _WHOLE[place])
        if place in {Place.TEXT, Place.VALUE} and len(pieces) == 1 and isinstance(pieces[0], nodes.Expr):
            value = compile_expression(pieces[0])
    template = Template(source, constant=constant, render=render, value=value)
    return _fixed(template) if constant else template


def _plain(source: str, place: Place) -> Template:
    """A text with nothing to evaluate, as Jinja2 would read it, in a twentieth of the time."""
    text = _LINE_BREAK.sub("\n", source).removesuffix("\n")
    render = _joiner(_parts(source, [text] if text else [], place), _WHOLE[place])
    return _fixed(Template(source, constant=True, render=render, value=None))


def _pieces(tree: nodes.Template) -> list[str | nodes.Expr] | None:
    """Literal text and expressions in their order; None where there are statements."""
    pieces: list[str | nodes.Expr] = []
    for statement in tree.body:
        if not isinstance(statement, nodes.Output):
            return None
        pieces += [node.data if isinstance(node, nodes.TemplateData) else node for node in statement.nodes]
    return pieces


Part = str | Callable[[Scope], str]


def _parts(source: str, pieces: list[str | nodes.Expr], place: Place) -> list[Part]:
    if check := _CHECKS.get(place):
        check(source, [piece if isinstance(piece, str) else None for piece in pieces])
    parts: list[Part] = []
    inside = _INSIDE[place]
    for piece in pieces:
        if isinstance(piece, nodes.Expr):
            parts.append(_confined(compile_expression(piece), inside))
        elif place is Place.URL:
            inside = confine.query_part if "?" in piece else inside
            parts.append(url_text(piece))
        else:
            parts.append(piece)
    return parts


def _confined(expression: Expression, inside: Callable[[Any], str]) -> Callable[[Scope], str]:
    return lambda scope: inside(expression(scope))


def _joiner(parts: list[Part], whole: Callable[[str], str]) -> Callable[[Scope], str]:
    return lambda scope: whole("".join([part if isinstance(part, str) else part(scope) for part in parts]))


def _program(tree: nodes.Template) -> Callable[[Scope], str]:
    run = program(tree)

    def render(scope: Scope) -> str:
        pieces, size = [], 0
        for piece in run(scope):
            size += len(piece)
            _check_size(size)
            pieces.append(piece)
        return "".join(pieces)

    return render


def _check_size(size: int) -> None:
    if size > MAX_TEXT:
        raise RenderError(f"a text of over {MAX_TEXT} characters")


def _whole_text(text: str) -> str:
    _check_size(len(text))
    return text


def _fixed(template: Template) -> Template:
    """A constant template, evaluated once and for all."""
    try:
        nothing = cast("Scope", None)  # no name is read from it
        text, value = template.render(nothing), template.value(nothing)
    except RenderError as error:
        raise TemplateError(str(error)) from None
    return Template(template.source, constant=True, render=lambda _: text, value=lambda _: value)


def _reason(error: Exception) -> str:
    """What went wrong, fit for a log: it can hold text of the webhook."""
    said = "".join(letter if letter.isprintable() else "?" for letter in str(error)[:200])
    return said or type(error).__name__


_OPENINGS: Final = ("{{", "{%", "{#")
_LINE_BREAK: Final = re.compile("\r\n|\r")
_INSIDE: Final[dict[Place, Callable[[Any], str]]] = {
    Place.TEXT: confine.text,
    Place.VALUE: confine.text,
    Place.TOPIC: confine.topic_level,
    Place.URL: confine.path_part,
    Place.HEADER: confine.header_part,
}
_WHOLE: Final[dict[Place, Callable[[str], str]]] = {
    Place.TEXT: _whole_text,
    Place.VALUE: _whole_text,
    Place.TOPIC: confine.whole_topic,
    Place.URL: confine.whole_url,
    Place.HEADER: confine.whole_header,
}
_CHECKS: Final = {Place.TOPIC: check_topic, Place.URL: check_url, Place.HEADER: check_header}
