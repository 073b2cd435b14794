"""Reading `match`: sources with values, and `any`, `all` and `not`."""

from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.config import slips
from bridge.config.containers import expect
from bridge.config.nodes import Broken, Mapping, Node, Scalar, Sequence
from bridge.config.problems import Code, did_you_mean, quoted
from bridge.config.reader import Invalid, Reader, found
from bridge.config.shapes import Schema
from bridge.config.templates import Anything, refers
from bridge.errors import ConditionError
from bridge.routing.match import Condition, all_of, any_of, compare, concealed, negate
from bridge.routing.sources import reader_of

_TEXT: Final[Schema] = {"type": "string"}
_ORDERED: Final[Schema] = {"type": ["string", "number"]}
_VALUE: Final[Schema] = {"type": ["string", "number", "boolean", "null"]}
_VALUES: Final[Schema] = {"type": "array", "items": _VALUE, "minItems": 1}

SOURCES: Final[AbstractMapping[str, str]] = {
    "bucket": "The bucket, by name or ID.",
    "input": "The input, by name or ID.",
    "output": "The output, by name.",
    "method": "The request's method, in capitals.",
    "path": "The request's path, without the query.",
    "content_type": "The content type, without its parameters, in small letters.",
}
FAMILIES: Final[AbstractMapping[str, tuple[str, str]]] = {
    "header.NAME": (r"header\.[^\x00]+", "A header; any case, any of its values."),
    "query.NAME": (r"query\.[^\x00]+", "A parameter of the query; any of its values."),
    "form.NAME": (r"form\.[^\x00]+", "A field of an HTML form; any of its values."),
    "body.PATH": (
        r"""body\.(?:[^.\[\]"]+|\[[0-9]{1,6}\]|\["[^"]+"\])(?:\.[^.\[\]"]+|\[[0-9]{1,6}\]|\["[^"]+"\])*""",
        'A value of the body, such as `body.items[0].id` or `body["a.b"]`.',
    ),
}
"""Sources that need a name: the pattern of the whole source, and its meaning."""
OPERATORS: Final[AbstractMapping[str, tuple[Schema, str]]] = {
    "eq": (_VALUE, "Equals it; the same as the value alone."),
    "ne": (_VALUE, "Doesn't equal it, or is missing."),
    "in": (_VALUES, "Is one of these; the same as the list alone."),
    "not_in": (_VALUES, "Is none of these, or is missing."),
    "gt": (_ORDERED, "Is greater."),
    "gte": (_ORDERED, "Is greater or equal."),
    "lt": (_ORDERED, "Is less."),
    "lte": (_ORDERED, "Is less or equal."),
    "startswith": (_TEXT, "Starts with this text."),
    "endswith": (_TEXT, "Ends with this text."),
    "contains": (_VALUE, "Holds this text, or is a list that holds this value."),
    "regex": (_TEXT, "A regular expression is found in it; `^` and `$` anchor it."),
    "glob": (_TEXT, "Fits as a whole; `*` is any text, `?` any character, `[ab]` one of these."),
    "exists": ({"type": "boolean"}, "Is there (`true`), or is missing (`false`)."),
}
COMBINATORS: Final[AbstractMapping[str, str]] = {
    "any": "At least one of these mappings of conditions holds.",
    "all": "All of these mappings of conditions hold.",
    "not": "This mapping of conditions doesn't hold.",
}


@dataclass(frozen=True, slots=True)
class Match:
    """A condition, and what it says about buckets."""

    condition: Condition
    buckets: frozenset[str] | None = None
    """Names or IDs of the only buckets where it can hold; None: it can hold in any."""


@dataclass(frozen=True, slots=True)
class MatchShape:
    """Conditions by source, all of which must hold."""

    expects: str = "a mapping of conditions such as `bucket: doorbell`"

    def read(self, node: Node, reader: Reader) -> Match:
        """The condition, compiled."""
        hint = (
            "remove the dashes: all conditions of a mapping must hold" if isinstance(node, Sequence) else None
        )
        mapping = expect(Mapping, node, reader, self.expects, hint)
        return _all([part for key, value in mapping.entries.values() for part in _part(key, value, reader)])

    def json_schema(self) -> Schema:
        """A reference, as conditions hold conditions; `definitions` has what it refers to."""
        return {"$ref": "#/definitions/match", "examples": [{"bucket": "doorbell", "method": "POST"}]}


def definitions() -> dict[str, Schema]:
    """What schemas refer to that `MatchShape` makes."""
    match, branches = {"$ref": "#/definitions/match"}, {"$ref": "#/definitions/branches"}
    combined = {"any": branches, "all": branches, "not": match}
    properties = {name: _described(combined[name], meaning) for name, meaning in COMBINATORS.items()}
    condition = {"$ref": "#/definitions/condition"}
    properties |= {name: _described(condition, meaning) for name, meaning in SOURCES.items()}
    families = {f"^(?:{form})$": _described(condition, meaning) for form, meaning in FAMILIES.values()}
    operators = {name: _described(operand, meaning) for name, (operand, meaning) in OPERATORS.items()}
    operations = {
        "type": "object",
        "properties": operators,
        "additionalProperties": False,
        "minProperties": 1,
    }
    return {
        "match": {
            "type": "object",
            "properties": properties,
            "patternProperties": families,
            "additionalProperties": False,
        },
        "branches": {"type": "array", "items": match, "minItems": 1},
        "condition": {"anyOf": [_VALUE, _VALUES, operations]},
    }


def _described(schema: Schema, meaning: str) -> Schema:
    return {"description": meaning} | schema


def _part(key: Scalar, value: Node, reader: Reader) -> Iterator[Match]:
    """One entry of a match mapping; nothing where it can't be used."""
    try:
        match key.text:
            case "all":
                yield _all(_branches(value, reader))
            case "any":
                yield _any(_branches(value, reader))
            case "not":
                yield Match(negate(MatchShape().read(value, reader).condition))
            case _:
                yield _comparison(key, value, reader)
    except Invalid:
        return


def _branches(node: Node, reader: Reader) -> list[Match]:
    sequence = reader.expect(Sequence, node, "a list of mappings of conditions")
    if not sequence.items:
        raise reader.wrong(Code.BAD_VALUE, node, "this list is empty")
    return [branch for item in sequence.items for branch in _branch(item, reader)]


def _branch(node: Node, reader: Reader) -> Iterator[Match]:
    try:
        yield MatchShape().read(node, reader)
    except Invalid:
        return


def _all(parts: list[Match]) -> Match:
    # A bucket has a name and an ID, so two sets that share nothing may still mean the same bucket:
    # one of them is taken, not what they have in common.
    named = [part.buckets for part in parts if part.buckets is not None]
    return Match(all_of([part.condition for part in parts]), min(named, key=len, default=None))


def _any(parts: list[Match]) -> Match:
    named = [part.buckets for part in parts if part.buckets is not None]
    buckets = frozenset[str]().union(*named) if len(named) == len(parts) else None
    return Match(any_of([part.condition for part in parts]), buckets)


def _comparison(key: Scalar, value: Node, reader: Reader) -> Match:
    source = key.text
    try:
        reader_of(source)
    except ConditionError as error:
        raise reader.wrong(Code.UNKNOWN_KEY, key, str(error), slips.without_space(source)) from None
    operands = _operands(value, reader)
    values = _values(operands, reader)
    try:
        condition = compare(source, values)
    except ConditionError as error:
        message = "this can't be compiled once its ${…} are filled in" if refers(value) else str(error)
        culprit = _culprit(source, values, operands)
        raise reader.wrong(Code.CONDITION, culprit, message, slips.condition(message)) from None
    _warn_of_slips(key, operands, reader)
    shown = concealed(condition) if refers(value) else condition
    return Match(shown, _buckets(values) if source == "bucket" else None)


def _operands(node: Node, reader: Reader) -> dict[str, Node]:
    """The operands by operator: a scalar stands for `eq`, a list for `in`."""
    match node:
        case Scalar():
            return {"eq": node}
        case Sequence():
            return {"in": node}
        case Mapping(entries=entries) if entries:
            _check_operators(node, reader)
            return {operator: value for operator, (_, value) in entries.items()}
        case Mapping():
            raise reader.wrong(Code.BAD_VALUE, node, "there is no operator in this mapping")
    raise Invalid


def _check_operators(node: Mapping, reader: Reader) -> None:
    unknown = [key for key, _ in node.entries.values() if key.text not in OPERATORS]
    for key in unknown:
        message, hint = f"unknown operator {quoted(key.text)}", did_you_mean(key.text, OPERATORS)
        reader.problems.add(Code.UNKNOWN_KEY, key.position, message, hint)
    if unknown:
        raise Invalid


def _values(operands: dict[str, Node], reader: Reader) -> dict[str, Any]:
    """What the operands say, references filled in."""
    if any(isinstance(operand, Broken) for operand in operands.values()):
        raise Invalid
    mistakes = reader.problems.errors
    values = {operator: Anything().read(operand, reader) for operator, operand in operands.items()}
    if reader.problems.errors > mistakes:
        raise Invalid
    return values


def _culprit(source: str, values: dict[str, Any], operands: dict[str, Node]) -> Node:
    """The operand that can't be compiled, even alone."""
    for operator, operand in operands.items():
        try:
            compare(source, {operator: values[operator]})
        except ConditionError:
            return operand
    return next(iter(operands.values()))


def _warn_of_slips(key: Scalar, operands: dict[str, Node], reader: Reader) -> None:
    """What can be compiled, and yet is hardly meant."""
    source = key.text
    if hint := slips.header_in_body(source):
        reader.problems.add(Code.HEADER_IN_BODY, key.position, "this looks for a header in the body", hint)
    for operator, operand in operands.items():
        for item in operand.items if isinstance(operand, Sequence) else [operand]:
            if isinstance(item, Scalar) and isinstance(item.value, str):
                _warn_of_text(source, operator, item, reader)
            elif isinstance(item, Scalar) and operator != "exists" and not source.startswith("body."):
                _warn_of_number(source, item, reader)


def _warn_of_text(source: str, operator: str, operand: Scalar, reader: Reader) -> None:
    """A condition compares with text as it stands."""
    if "{{" in operand.text:
        message, hint = "a condition's value is no template", "write the whole condition as `when:`"
        reader.problems.add(Code.NOT_FILLED_IN, operand.position, message, hint)
    elif operator in {"eq", "in"} and (slip := slips.never_equal(source, operand.text)):
        reader.problems.add(Code.NEVER_TRUE, operand.position, *slip)


def _warn_of_number(source: str, operand: Scalar, reader: Reader) -> None:
    """All sources but the body are text, and text never equals a number."""
    message = f"'{source}' is always text, which never equals {found(operand)}"
    reader.problems.add(Code.NEVER_TRUE, operand.position, message, f'write "{operand.text[:20]}" in quotes')


def _buckets(operands: dict[str, Any]) -> frozenset[str] | None:
    named = [operands["eq"]] if "eq" in operands else operands.get("in")
    return frozenset(name for name in named if isinstance(name, str)) if isinstance(named, list) else None
