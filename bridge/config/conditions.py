"""Reading `match`: sources with values, and `any`, `all` and `not`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bridge.config.nodes import Broken, Mapping, Node, Scalar, Sequence
from bridge.config.problems import Code, did_you_mean, quoted
from bridge.config.reader import Invalid, Reader, found
from bridge.config.templates import Anything
from bridge.errors import ConditionError
from bridge.routing.match import Condition, all_of, any_of, compare, negate
from bridge.routing.operators import NEGATIVE, POSITIVE
from bridge.routing.sources import reader_of

OPERATORS: Final = (*POSITIVE, *NEGATIVE, "exists")


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
        mapping = reader.expect(Mapping, node, self.expects)
        return _all([part for key, value in mapping.entries.values() for part in _part(key, value, reader)])


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
        raise reader.wrong(Code.UNKNOWN_KEY, key, str(error)) from None
    operands = _operands(value, reader)
    values = _values(operands, reader)
    try:
        condition = compare(source, values)
    except ConditionError as error:
        message = "this can't be compiled once its ${…} are filled in" if _refers(value) else str(error)
        raise reader.wrong(Code.CONDITION, _culprit(source, values, operands), message) from None
    if not source.startswith("body."):
        for operator, operand in operands.items():
            _warn_of_numbers(source, operator, operand, reader)
    return Match(condition, _buckets(values) if source == "bucket" else None)


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


def _refers(node: Node) -> bool:
    match node:
        case Scalar():
            return "${" in node.text
        case Sequence():
            return any(_refers(item) for item in node.items)
        case Mapping():
            return any(_refers(value) for _, value in node.entries.values())
    return False


def _warn_of_numbers(source: str, operator: str, operand: Node, reader: Reader) -> None:
    """All sources but the body are text, and text never equals a number."""
    if operator == "exists":
        return
    for item in operand.items if isinstance(operand, Sequence) else [operand]:
        if isinstance(item, Scalar) and not isinstance(item.value, str):
            message = f"'{source}' is always text, which never equals {found(item)}"
            reader.problems.add(
                Code.NEVER_TRUE, item.position, message, f'write "{item.text[:20]}" in quotes'
            )


def _buckets(operands: dict[str, Any]) -> frozenset[str] | None:
    named = [operands["eq"]] if "eq" in operands else operands.get("in")
    return frozenset(name for name in named if isinstance(name, str)) if isinstance(named, list) else None
