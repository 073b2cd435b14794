"""A small YAML file, read strictly: every value with its place, every problem collected."""

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from bridge.errors import ConfigError

MAX_FILE: Final = 256 * 1024
MAX_DEPTH: Final = 12
MAX_NODES: Final = 20_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG: Final = "tag:yaml.org,2002:"
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "B": 1, "KiB": 1024, "MiB": 1024**2}
_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h)")
_SIZE: Final = re.compile(r"(\d{1,9})(B|KiB|MiB)")
_INTEGER: Final = re.compile(r"0|[1-9]\d{0,8}")

_TRUE: Final = ("true", "True", "TRUE")
_BOOLEANS: Final = (*_TRUE, "false", "False", "FALSE")
_KINDS: Final = {
    **dict.fromkeys(("str", "timestamp", "merge", "value"), "text"),
    **dict.fromkeys(("int", "float"), "a number"),
    "bool": "true or false",
    "null": "nothing",
}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake and its place, both counted from 1."""

    line: int
    column: int
    message: str


class SettingsError(ConfigError):
    """The relay's settings can't be used; `str()` has a line for every problem.

    Attributes:
        problems: all of them, in the order of their places.
    """

    def __init__(self, problems: Collection[Problem], file: str) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__(
            "\n".join(f"{file}:{one.line}:{one.column}: error: {one.message}" for one in self.problems)
        )


class Nodes:
    """Reads values from YAML nodes. What is wrong is noted, and an empty value stands in for it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, node: yaml.Node, message: str) -> None:
        """Note a problem at a node."""
        self._note(node.start_mark, message)

    def parse(self, text: str) -> yaml.Node | None:
        """The root of one YAML document; None where there is none or it can't be read."""
        try:
            self._check_shape(text)
            root: yaml.Node | None = None if self.problems else yaml.compose(text, _LOADER)
        except yaml.MarkedYAMLError as error:
            self._note(error.problem_mark or error.context_mark, f"not YAML: {error.problem}")
            return None
        except yaml.YAMLError as error:  # a control character: no mark, a position in some encoding
            self._note(None, f"not YAML: {str(error).splitlines()[0]}")
            return None
        if root is None and not self.problems:
            self._note(None, "the file is empty")
        return root

    def fields(self, node: yaml.Node, known: Collection[str]) -> dict[str, yaml.Node]:
        """A mapping whose keys are known words."""
        found = {}
        for name, key, value in self.entries(node):
            if name in known:
                found[name] = value
            else:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
                self.refuse(key, f"unknown key {name!a}{hint}")
        return found

    def entries(self, node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """A mapping with free names as keys: name, the key's node, the value's node. Nothing reads as {}."""
        if not isinstance(node, yaml.MappingNode):
            if not is_nothing(node):
                self.refuse(node, f"a mapping is needed, not {_kind(node)}")
            return
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.refuse(key, "a name is needed here")
            elif key.value in seen:
                self.refuse(key, f"{key.value!a} is there twice")
            else:
                seen.add(key.value)
                yield key.value, key, value

    def items(self, node: yaml.Node) -> list[yaml.Node]:
        """The values of a list."""
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.refuse(node, f"a list is needed, not {_kind(node)}")
        return []

    def text(self, node: yaml.Node) -> str:
        """A string."""
        if _kind(node) == "text":
            return str(node.value)
        hint = "; put it in quotes" if _kind(node) in {"a number", "true or false"} else ""
        self.refuse(node, f"text is needed, not {_kind(node)}{hint}")
        return ""

    def filled_text(self, node: yaml.Node) -> str:
        """A string that is not empty."""
        if _kind(node) == "text" and not node.value:
            self.refuse(node, "this can't be empty")
        return self.text(node)

    def boolean(self, node: yaml.Node) -> bool:
        """`true` or `false`."""
        if _kind(node) != "true or false":
            self.refuse(node, f"true or false is needed, not {_kind(node)}")
        return bool(node.value in _TRUE)

    def integer(self, node: yaml.Node, lowest: int, highest: int) -> int:
        """A whole number."""
        if _kind(node) == "a number" and _INTEGER.fullmatch(node.value):
            if lowest <= int(node.value) <= highest:
                return int(node.value)
            self.refuse(node, f"a number from {lowest} to {highest} is needed")
        else:
            self.refuse(node, f"a whole number is needed, not {_kind(node)}")
        return lowest

    def plain(self, node: yaml.Node) -> Any:
        """A value made of texts, booleans, lists and mappings."""
        if isinstance(node, yaml.MappingNode):
            return {name: self.plain(value) for name, _, value in self.entries(node)}
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(one) for one in node.value]
        match _kind(node):
            case "true or false":
                return self.boolean(node)
            case "nothing":
                return None
        return self.text(node)

    def duration(self, node: yaml.Node, lowest: float, highest: float) -> float:
        """Seconds, written as `20ms`, `15s`, `5m` or `72h`."""
        return self._quantity(node, _DURATION, "a duration such as 30s or 10m", lowest, highest)

    def size(self, node: yaml.Node, lowest: int, highest: int) -> int:
        """Bytes, written as `512B`, `64KiB` or `3MiB`."""
        return int(self._quantity(node, _SIZE, "a size such as 64KiB or 3MiB", lowest, highest))

    def _quantity(
        self, node: yaml.Node, form: re.Pattern[str], what: str, lowest: float, highest: float
    ) -> float:
        found = form.fullmatch(node.value) if isinstance(node, yaml.ScalarNode) else None
        if found is None:
            self.refuse(node, f"{what} is needed")
            return lowest
        amount = int(found[1]) * _UNITS[found[2]]
        if not lowest <= amount <= highest:
            self.refuse(node, f"{found[0]} is out of range")
        return amount

    def _check_shape(self, text: str) -> None:
        """Refuse what makes a small file large or its meaning unclear, before a tree is built of it."""
        depth = 0
        for count, event in enumerate(yaml.parse(text, _LOADER)):
            if isinstance(event, yaml.AliasEvent):
                self._note(event.start_mark, "aliases are not supported; write it out")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or count > MAX_NODES:
                self._note(event.start_mark, "too deep" if depth > MAX_DEPTH else "too long")
                return

    def _note(self, mark: Any, message: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        self.problems.append(Problem(line, column, message))


def is_nothing(node: yaml.Node) -> bool:
    """Whether nothing is written there, or null, or an empty mapping."""
    return _kind(node) == "nothing" or (isinstance(node, yaml.MappingNode) and not node.value)


def _kind(node: yaml.Node) -> str:
    """What a node holds by the rules of YAML 1.2, where `on`, `yes`, `off` and dates are text."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    tag = str(node.tag).removeprefix(_TAG)
    if tag == "bool" and node.value not in _BOOLEANS:
        return "text"
    return _KINDS.get(tag, f"the tag {tag!a}")
