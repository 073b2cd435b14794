"""Which requests an output takes: `and`, `or`, `not` and `match`, in the service's shape. No I/O.

    {"and": [{"match": {"type": "value", "value": "push",
                        "parameter": {"source": "header", "name": "X-GitHub-Event"}}},
             {"not": {"match": {"type": "regex", "regex": "^refs/tags/",
                                "parameter": {"source": "payload", "name": "ref"}}}}]}

A `payload` name is a path into the JSON body or a form: `repository.owner`, `commits.0.id`. What a request
doesn't have matches nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

MAX_DEPTH: Final = 10
MAX_RULES: Final = 100
LONGEST_REGEX: Final = 500
LONGEST_SUBJECT: Final = 10_000
"""Characters that a regular expression looks at."""
SOURCES: Final = ("header", "query", "url", "payload", "raw", "method", "path")
"""`url` is the service's other word for `query`."""
_NAMED: Final = ("header", "query", "url", "payload")


class BadRule(ValueError):
    """This is no rule; the text says why."""


@dataclass(frozen=True)
class Facts:
    """What of a request can be matched. Parsed only where something asks for it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, list[str]]
    """By name in any case."""
    body: bytes

    @cached_property
    def header(self) -> dict[str, str]:
        """The first value of each, by lower-case name."""
        return {name.lower(): values[0] for name, values in self.headers.items() if values}

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query's parameters; the first value of each."""
        return _pairs(self.query)

    @cached_property
    def payload(self) -> Any:
        """The body as JSON or as a form; None where it is neither."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            is_form = "x-www-form-urlencoded" in self.header.get("content-type", "")
            return _pairs(self.body.decode("utf-8", "replace")) if is_form else None

    def value(self, source: str, name: str) -> str | None:
        """A value as text; None where there is none."""
        match source:
            case "header":
                return self.header.get(name.lower())
            case "query" | "url":
                return self.parameters.get(name)
            case "payload":
                return text_of(walk(self.payload, name))
            case "raw":
                return self.body.decode("utf-8", "replace")
            case _:
                return self.method if source == "method" else self.path


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read; `document` gives it back as it was written."""

    kind: str
    """and, or, not, value or regex."""
    parts: tuple["Rule", ...] = ()
    source: str = ""
    name: str = ""
    text: str = ""

    def allows(self, facts: Facts) -> bool:
        """Whether a request fits."""
        match self.kind:
            case "and":
                return all(one.allows(facts) for one in self.parts)
            case "or":
                return any(one.allows(facts) for one in self.parts)
            case "not":
                return not self.parts[0].allows(facts)
        found = facts.value(self.source, self.name)
        if found is None:
            return False
        if self.kind == "value":
            return found == self.text
        return re.search(self.text, found[:LONGEST_SUBJECT]) is not None

    def document(self) -> dict[str, Any]:
        """The rule as JSON."""
        if self.kind in ("and", "or"):
            return {self.kind: [one.document() for one in self.parts]}
        if self.kind == "not":
            return {"not": self.parts[0].document()}
        parameter = {"source": self.source, "name": self.name}
        return {"match": {"type": self.kind, self.kind: self.text, "parameter": parameter}}


def parse_rule(said: Any) -> Rule | None:
    """A rule from JSON; None where nothing is said.

    Raises:
        BadRule: it is none.
    """
    if said is None or said == {}:
        return None
    rule = _rule(said, MAX_DEPTH)
    if _count(rule) > MAX_RULES:
        raise BadRule(f"more than {MAX_RULES} conditions")
    return rule


def walk(value: Any, path: str) -> Any:
    """What is at a path such as `commits.0.id`; None where nothing is."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            return None
    return value


def text_of(value: Any) -> str | None:
    """A JSON value as text: what is not text, as JSON writes it; None where it is nested too deeply."""
    if value is None or isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return None


def _rule(said: Any, room: int) -> Rule:
    if not room:
        raise BadRule("nested too deeply")
    said = {name: part for name, part in said.items() if part is not None} if isinstance(said, dict) else {}
    if len(said) != 1:
        raise BadRule("one of and, or, not and match is needed")
    ((kind, part),) = said.items()
    match kind:
        case "and" | "or":
            if not isinstance(part, list) or not part:
                raise BadRule(f"{kind}: a list of rules is needed")
            return Rule(kind, tuple(_rule(one, room - 1) for one in part[: MAX_RULES + 1]))
        case "not":
            return Rule("not", (_rule(part, room - 1),))
        case "match":
            return _match(part)
    raise BadRule("one of and, or, not and match is needed")


def _match(said: Any) -> Rule:
    kind, text = _field(said, "type") or "value", ""
    if kind not in ("value", "regex"):
        raise BadRule("match.type: value or regex is needed")
    text = _field(said, kind)
    parameter = said.get("parameter")
    source, name = _field(parameter, "source"), _field(parameter, "name")
    if source not in SOURCES:
        raise BadRule(f"match.parameter.source: one of {', '.join(SOURCES)} is needed")
    if source in _NAMED and not name:
        raise BadRule(f"match.parameter.name: the name of a {source} is needed")
    if kind == "regex":
        _check_regex(text)
    return Rule(kind, (), source, name, text)


def _check_regex(text: str) -> None:
    if len(text) > LONGEST_REGEX:
        raise BadRule(f"match.regex: longer than {LONGEST_REGEX} characters")
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadRule(f"match.regex: {error}") from None


def _field(said: Any, name: str) -> str:
    if not isinstance(said, dict):
        raise BadRule("match: an object with a type and a parameter is needed")
    found = said.get(name)
    if found is not None and not isinstance(found, str):
        raise BadRule(f"match.{name}: text is needed")
    return found or ""


def _count(rule: Rule) -> int:
    return 1 + sum(_count(one) for one in rule.parts)


def _pairs(text: str) -> dict[str, str]:
    try:
        found: Iterable[tuple[str, str]] = parse_qsl(text, keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return {}
    return dict(reversed(list(found)))
