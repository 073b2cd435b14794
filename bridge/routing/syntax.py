"""A template's text becomes a checked tree: every name, filter and method known, nothing unbounded in it."""

import re
from collections.abc import Iterable
from typing import Final

from jinja2 import TemplateSyntaxError, meta, nodes

from bridge.errors import TemplateError
from bridge.routing.hints import did_you_mean
from bridge.routing.sandbox import ALLOWED_NODES, BOUNDED, FILTERS, METHOD_MARK, METHODS, SANDBOX
from bridge.routing.scope import VALUES

MAX_SOURCE: Final = 64 * 1024

KNOWN_ELSEWHERE: Final = {
    "now": "'received_at' is the time of arrival",
    "headers": "write header['x-name']",
    "value": "write 'raw' for the body's text",
    "value_json": "write 'body' for the parsed body",
    "trigger": "write 'body' for the parsed body",
    "payload": "write 'body' for the parsed body",
    "msg": "write 'body' for the parsed body",
    "params": "write 'query' for the query's parameters",
}
"""Names that people bring from Home Assistant, Node-RED and elsewhere."""


def parse(source: str) -> nodes.Template:
    """The tree of a template, checked.

    Raises:
        TemplateError: it can't be parsed, or holds what a template may not.
    """
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"a template of over {MAX_SOURCE} characters")
    try:
        tree = SANDBOX.parse(source)
        _Checker(source).check(tree)
    except TemplateSyntaxError as error:
        raise TemplateError(_sentence(error.message), _offset(source, error.lineno, "{")) from None
    except RecursionError:
        raise TemplateError("the template is nested too deeply") from None
    return tree


def _sentence(message: str | None) -> str:
    return (message or "not a template").rstrip(".")


def _offset(source: str, line: int, word: str) -> int:
    """Where a word stands, on the given line (from 1) or after it; else where the line starts."""
    start = sum(len(text) for text in source.splitlines(keepends=True)[: line - 1])
    found = re.search(rf"(?<!\w){re.escape(word)}", source[start:])
    return start + (found.start() if found else 0)


class _Checker:
    """Visits each node of a template once; some are rewritten into bounded ones."""

    def __init__(self, source: str) -> None:
        self._source = source

    def check(self, tree: nodes.Template) -> None:
        # A list first: the rewriting of a node must not send us into what it made.
        for node in list(tree.find_all(nodes.Node)):
            if type(node) not in ALLOWED_NODES:
                raise self._error(node, f"'{_spoken(node)}' can't be used in a template")
            match node:
                case nodes.Filter():
                    self._known(node, "filter", FILTERS)
                case nodes.Test():
                    self._known(node, "test", SANDBOX.tests)
                case nodes.Call():
                    self._mark_method(node)
                case nodes.For():
                    self._bound(node)
                case nodes.Concat():
                    node.nodes = [_filtered(part, "string") for part in node.nodes]
        self._check_names(tree)

    def _known(self, node: nodes.Filter | nodes.Test, what: str, known: Iterable[str]) -> None:
        if node.name not in known:
            message = f"unknown {what} '{node.name}'{did_you_mean(node.name, known)}"
            raise self._error(node, message, node.name)

    def _mark_method(self, call: nodes.Call) -> None:
        called = call.node
        if isinstance(called, nodes.Name):
            known = f"; {KNOWN_ELSEWHERE[called.name]}" if called.name in KNOWN_ELSEWHERE else ""
            raise self._error(call, f"there is no function '{called.name}'{known}", called.name)
        if not isinstance(called, nodes.Getattr):
            raise self._error(call, "only methods can be called")
        if called.attr not in METHODS:
            message = f"there is no method '{called.attr}'{did_you_mean(called.attr, METHODS)}"
            raise self._error(call, message, called.attr)
        called.attr = METHOD_MARK + called.attr

    def _bound(self, loop: nodes.For) -> None:
        if loop.recursive or loop.find(nodes.For):
            raise self._error(loop, "a loop can't hold another one", "{%")
        loop.iter = _filtered(loop.iter, BOUNDED)

    def _check_names(self, tree: nodes.Template) -> None:
        written = {node.name for node in tree.find_all(nodes.Name)}
        if written <= VALUES.keys():
            return  # nearly always, and Jinja2's own answer takes a quarter of the time to load a file
        # Jinja2 counts `self` as declared: it stands for the template.
        for name in sorted(meta.find_undeclared_variables(tree) - VALUES.keys() | (written & {"self"})):
            hint = f"; {KNOWN_ELSEWHERE[name]}" if name in KNOWN_ELSEWHERE else did_you_mean(name, VALUES)
            raise TemplateError(f"unknown name '{name}'{hint}", _offset(self._source, 1, name))

    def _error(self, node: nodes.Node, message: str, word: str = "{") -> TemplateError:
        return TemplateError(message, _offset(self._source, node.lineno, word))


def _filtered(expression: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(
        expression, name, [], [], None, None, lineno=expression.lineno, environment=expression.environment
    )


def _spoken(node: nodes.Node) -> str:
    return "**" if isinstance(node, nodes.Pow) else type(node).__name__.lower()
