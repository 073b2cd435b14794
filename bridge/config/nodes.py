"""YAML text as a tree of nodes that know where they stand.

A strict part of YAML with the scalars of YAML 1.2's core schema: `on` and `12:30` are text, `010` is ten.
Built from the parser's events, not by `yaml.compose`: limits act before anything is built, no input
recurses, and it is six times faster.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from bridge.config import slips
from bridge.config.problems import LONGEST_LINE, Code, Position, Problems, Source, quoted

DEEPEST: Final = 32
MOST_NODES: Final = 500_000
"""Ten thousand routes of ordinary size are about 300,000."""
LONGEST_NUMBER: Final = 30

FAST_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it."""

ScalarValue = str | int | float | bool | None


@dataclass(slots=True, eq=False)
class _Placed:
    """Where a node stands: three fields instead of a `Position`, as there are very many nodes."""

    source: Source
    line: int
    column: int

    @property
    def position(self) -> Position:
        """The place of the node's first character."""
        return Position(self.source, self.line, self.column)


@dataclass(slots=True, eq=False)
class Scalar(_Placed):
    """One value: text, number, boolean or null."""

    value: ScalarValue
    text: str
    """As written, without quotes: `0x10` where the value is 16."""
    indent: int | None = 0
    """Columns from the position to the text's first character (1: a quote); None over several lines."""

    def at(self, offset: int) -> Position:
        """Where a character of the text stands, as well as it can be told (escapes shift it)."""
        if self.indent is None:
            return self.position
        return Position(self.source, self.line, self.column + self.indent + offset)


@dataclass(slots=True, eq=False)
class Sequence(_Placed):
    """A list."""

    items: "list[Node]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Mapping(_Placed):
    """Keys with values, in the file's order; no key is there twice."""

    entries: "dict[str, tuple[Scalar, Node]]" = field(default_factory=dict)
    """By the key's text."""


@dataclass(slots=True, eq=False)
class Broken(_Placed):
    """Stands where the file holds something that was already refused."""


Node = Scalar | Sequence | Mapping | Broken


def parse(source: Source, problems: Problems, *, loader: Any = FAST_LOADER) -> Mapping | None:
    """The file's mapping; None, with a problem noted, where there is none to be had."""
    builder = _Builder(source, problems)
    try:
        for event in _events(source, loader):
            builder.take(event)
    except _Stop as stop:
        problems.add(stop.code, stop.position, str(stop), stop.hint)
        return None
    root = builder.root
    if isinstance(root, Mapping):
        return root
    if not isinstance(root, Broken):
        place = root.position if root else Position(source)
        what = "is empty" if root is None else "holds no mapping"
        problems.add(Code.EMPTY, place, f"the file {what}", "it needs at least `routes:`")
    return None


class _Stop(Exception):  # not an error of ours: the end of reading
    """Nothing after this place can be read."""

    def __init__(self, code: Code, position: Position, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.position = position
        self.hint = hint


@dataclass(slots=True, eq=False)
class _Open:
    """A collection that is being read."""

    node: Sequence | Mapping
    flow: bool
    key: Scalar | None = None
    expects_key: bool = True
    broken: bool = False


class _Builder:
    """Puts nodes together as events come; an explicit stack, so that depth is ours to limit."""

    def __init__(self, source: Source, problems: Problems) -> None:
        self.root: Node | None = None
        self._source = source
        self._problems = problems
        self._stack: list[_Open] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """One event of the parser."""
        if isinstance(event, yaml.ScalarEvent):
            self._count(event)
            self._place(self._scalar(event))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._count(event)
            self._begin(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._count(event)
            self._refuse(event, f"alias {quoted(f'*{event.anchor}')}", "write the value out here too")
            self._place(self._broken(event))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._begin_document(event)

    def _begin_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _Stop(Code.YAML_FEATURE, self._at(event), "a second document", "remove the `---` line")

    def _begin(self, event: Any) -> None:
        if len(self._stack) >= DEEPEST:
            raise _Stop(Code.TOO_LARGE, self._at(event), f"more than {DEEPEST} levels")
        kind = Mapping if isinstance(event, yaml.MappingStartEvent) else Sequence
        mark = event.start_mark
        node = kind(self._source, mark.line + 1, mark.column + 1)
        opened = _Open(node, bool(event.flow_style))
        opened.broken = self._decorated(event)
        self._stack.append(opened)

    def _end(self) -> None:
        done = self._stack.pop()
        if done.broken:
            self._place(Broken(self._source, done.node.line, done.node.column))
        else:
            self._place(done.node, flow=done.flow)

    def _place(self, node: Node, *, flow: bool = False) -> None:
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        if isinstance(parent.node, Sequence):
            parent.node.items.append(node)
        elif parent.expects_key:
            parent.expects_key = False
            parent.key = self._key(parent, node, flow=flow)
        else:
            parent.expects_key = True
            if parent.key is not None:
                parent.node.entries[parent.key.text] = (parent.key, node)

    def _key(self, parent: _Open, node: Node, *, flow: bool) -> Scalar | None:
        """The key that a node makes; None where its entry can't be used."""
        entries = parent.node.entries if isinstance(parent.node, Mapping) else {}
        if not isinstance(node, Scalar):
            parent.broken = not entries
            if isinstance(node, Mapping) and flow and parent.flow:
                self._problems.add(Code.SYNTAX, parent.node.position, *_UNQUOTED_TEMPLATE)
            elif not isinstance(node, Broken):
                self._problems.add(Code.SYNTAX, node.position, "a key must be text, not a mapping or a list")
            return None
        if node.text in entries:
            first = entries[node.text][0].position
            there = f"line {first.line}, column {first.column}"
            message = f"duplicate key {quoted(node.text)}; it is first at {there}"
            self._problems.add(Code.DUPLICATE_KEY, node.position, message, "remove one of them")
            return None
        return node

    def _scalar(self, event: Any) -> Node:
        start, end, text = event.start_mark, event.end_mark, event.value
        if self._decorated(event):
            return self._broken(event)
        quotes = 0 if event.style in {None, ""} else 1
        indent = quotes if end.line == start.line and event.style not in {"|", ">"} else None
        value = text if quotes else _plain(text)
        if value is _TOO_LONG:
            message = f"a number of more than {LONGEST_NUMBER} digits"
            self._problems.add(Code.BAD_VALUE, self._at(event), message)
            return self._broken(event)
        return Scalar(self._source, start.line + 1, start.column + 1, value, text, indent)

    def _decorated(self, event: Any) -> bool:
        """Whether an anchor or a tag, which are refused, stands before the node."""
        if event.anchor is not None:
            what = f"anchor {quoted(f'&{event.anchor}')}"
            self._refuse(event, what, "write the value out where it is needed")
        if event.tag is not None:
            self._refuse(event, f"tag {quoted(event.tag)}", slips.tag(event.tag))
        return event.anchor is not None or event.tag is not None

    def _refuse(self, event: Any, what: str, hint: str) -> None:
        message = f"the YAML {what} is not allowed in a routing file"
        self._problems.add(Code.YAML_FEATURE, self._at(event), message, hint)

    def _broken(self, event: Any) -> Broken:
        mark = event.start_mark
        return Broken(self._source, mark.line + 1, mark.column + 1)

    def _count(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _Stop(Code.TOO_LARGE, self._at(event), f"more than {MOST_NODES} keys and values")

    def _at(self, event: Any) -> Position:
        mark = event.start_mark
        return Position(self._source, mark.line + 1, mark.column + 1)


def _events(source: Source, loader: Any) -> Iterator[Any]:
    """The parser's events; a mistake of syntax becomes a `_Stop`."""
    forbidden = _FORBIDDEN.search(source.text)
    if forbidden:
        raise _Stop(Code.SYNTAX, _position(source, forbidden.start()), "a control character", "remove it")
    try:
        yield from yaml.parse(source.text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(source, error) from None
    except yaml.YAMLError as error:
        raise _Stop(Code.SYNTAX, Position(source), str(error)) from None


def _syntax_error(source: Source, error: yaml.MarkedYAMLError) -> _Stop:
    message, context = error.problem or "not YAML", error.context_mark
    # What is never closed is closed too late: its start says more than the file's end.
    mark = context if context and "end of stream" in message else error.problem_mark or context
    place = Position(source, mark.line + 1, mark.column + 1) if mark else Position(source)
    line = source.line(place.line)[:LONGEST_LINE]
    if line[place.column - 1 : place.column] == "\t":
        return _Stop(Code.SYNTAX, place, "a tab, which YAML does not allow here", "indent with spaces")
    if line[: place.column].endswith("${"):
        return _Stop(Code.SYNTAX, place, "an unquoted ${…} inside of { } or [ ]", 'write "${…}"')
    unquoted = _UNQUOTED_START.search(line) or (place.column > 1 and _UNQUOTED_IN_FLOW.search(line))
    if unquoted:
        return _Stop(Code.SYNTAX, Position(source, place.line, unquoted.start(1) + 1), *_UNQUOTED_TEMPLATE)
    if error.context and context and context.line + 1 != place.line:
        message += f" ({error.context} that starts at line {context.line + 1})"
    return _Stop(Code.SYNTAX, place, message, slips.syntax(message, source.line(place.line - 1)))


def _position(source: Source, index: int) -> Position:
    before = source.text[:index]
    start = max(before.rfind("\n"), before.rfind("\r")) + 1
    return Position(source, len(_BREAK.findall(before)) + 1, index - start + 1)


_TOO_LONG: Final[Any] = object()


def _plain(text: str) -> ScalarValue:
    """What a plain (unquoted) scalar means in YAML 1.2's core schema (section 10.3.2)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= LONGEST_NUMBER else _TOO_LONG
    if _BASED.fullmatch(text):
        return int(text, 0) if len(text) <= LONGEST_NUMBER else _TOO_LONG
    return float(text) if _FLOAT.fullmatch(text) else text


_WORDS: Final[dict[str, ScalarValue]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
# All but YAML's printable characters (section 5.1) and the byte order mark.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_UNQUOTED_START = re.compile(r"(?:^|[:\-\[{,]\s+|[\[{,])(\{\{)")
_UNQUOTED_IN_FLOW = re.compile(r"""[\[{,].*?:\s+([^\s"'\[{][^"',]*\{\{)""")
_UNQUOTED_TEMPLATE: Final = (
    "YAML reads an unquoted {{ as the start of a mapping",
    'put the whole value in quotes: "{{ … }}"',
)
