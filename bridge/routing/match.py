"""Conditions on a webhook: the `match` of a route, compiled to closures that never raise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.errors import ConditionError
from bridge.routing.hints import did_you_mean
from bridge.routing.operators import NEGATIVE, POSITIVE, Predicate
from bridge.routing.scope import Scope
from bridge.routing.sources import Reader, reader_of
from bridge.routing.template import Template
from bridge.webhook import Webhook

CONCEALED: Final = "(secret)"
"""Is shown instead of what a reference of the routing file stands for."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A comparison that decided against a route."""

    source: str
    operator: str
    """As in the file; `not …` where the condition was negated."""
    expected: object
    seen: tuple[object, ...]
    """Every value that was compared; empty where the source is missing."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    test: Callable[[Webhook], bool]
    """Whether a webhook satisfies it."""
    describe: Callable[[Webhook], Mismatch]
    """The comparison that decides on a webhook, whether or not it holds."""
    texts: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)  # one may be a secret
    """By source: it can hold only where the source has one of these texts."""

    def failure(self, webhook: Webhook) -> Mismatch | None:
        """The first comparison that failed; None where the condition holds."""
        return None if self.test(webhook) else self.describe(webhook)


def compare(source: str, operators: Mapping[str, object]) -> Condition:
    """A source that satisfies every operator, each on its own.

    A source with several values (a repeated header, a bucket's name and ID) satisfies an operator where any
    of them does, `ne` and `not_in` where none satisfies the opposite. A missing source satisfies `ne`,
    `not_in` and `exists: false` only.

    Raises:
        ConditionError: an unknown source or operator, or an operand that makes no sense.
    """
    read = reader_of(source)
    return all_of([_comparison(source, read, name, expected) for name, expected in operators.items()])


def _comparison(source: str, read: Reader, operator: str, expected: object) -> Condition:
    return Condition(
        test=_test(read, operator, expected),
        describe=lambda webhook: Mismatch(source, operator, expected, read(webhook)),
        texts=_texts(source, operator, expected),
    )


def _texts(source: str, operator: str, expected: object) -> dict[str, frozenset[str]]:
    """For `Condition.texts`; a header's name is the same in any case."""
    wanted = expected if operator == "in" and isinstance(expected, list | tuple) else [expected]
    if operator not in ("eq", "in") or not all(isinstance(text, str) for text in wanted):
        return {}
    name = source.lower() if source.startswith("header.") else source
    return {name: frozenset(text for text in wanted if isinstance(text, str))}


def _test(read: Reader, operator: str, expected: object) -> Callable[[Webhook], bool]:
    if operator == "exists":
        if not isinstance(expected, bool):
            raise ConditionError("'exists' is true or false")
        return lambda webhook: (read(webhook) != ()) is expected
    if compile_operand := POSITIVE.get(operator):
        return _any_value(read, compile_operand(expected))
    if compile_operand := NEGATIVE.get(operator):
        satisfied = _any_value(read, compile_operand(expected))
        return lambda webhook: not satisfied(webhook)
    known = (*POSITIVE, *NEGATIVE, "exists")
    raise ConditionError(f"unknown operator '{operator}'{did_you_mean(operator, known)}")


def _any_value(read: Reader, satisfies: Predicate) -> Callable[[Webhook], bool]:
    def test(webhook: Webhook) -> bool:
        for value in read(webhook):  # noqa: SIM110 -- any() makes a generator, on the path of every webhook
            if satisfies(value):
                return True
        return False

    return test


def all_of(conditions: Sequence[Condition]) -> Condition:
    """All hold; true where there is none."""
    if len(conditions) == 1:
        return conditions[0]
    tests = tuple(condition.test for condition in conditions)

    def test(webhook: Webhook) -> bool:
        for holds in tests:  # noqa: SIM110 -- all() makes a generator, on the path of every webhook
            if not holds(webhook):
                return False
        return True

    def describe(webhook: Webhook) -> Mismatch:
        failed = (condition for condition in conditions if not condition.test(webhook))
        decisive = next(failed, conditions[0] if conditions else None)
        return decisive.describe(webhook) if decisive else _combined("all", [])

    # Of two comparisons of one source either will do: another one of its values may satisfy the other.
    texts = {source: wanted for condition in conditions for source, wanted in condition.texts.items()}
    return Condition(test, describe, texts)


def any_of(conditions: Sequence[Condition]) -> Condition:
    """At least one holds; false where there is none."""
    if len(conditions) == 1:
        return conditions[0]

    def test(webhook: Webhook) -> bool:
        return any(condition.test(webhook) for condition in conditions)

    def describe(webhook: Webhook) -> Mismatch:
        held = [condition for condition in conditions if condition.test(webhook)]
        if held:
            return held[0].describe(webhook)
        return _combined("any", [condition.describe(webhook) for condition in conditions])

    return Condition(test, describe)


def negate(condition: Condition) -> Condition:
    """It does not hold."""

    def describe(webhook: Webhook) -> Mismatch:
        decisive = condition.describe(webhook)
        return replace(decisive, operator=f"not {decisive.operator}")

    return Condition(lambda webhook: not condition.test(webhook), describe)


def concealed(condition: Condition) -> Condition:
    """The same condition, telling neither what it compares with nor what it saw: that may be the same."""

    def describe(webhook: Webhook) -> Mismatch:
        decisive = condition.describe(webhook)
        return replace(decisive, expected=CONCEALED, seen=(CONCEALED,) * len(decisive.seen))

    return Condition(condition.test, describe, condition.texts)


def _combined(operator: str, parts: Sequence[Mismatch]) -> Mismatch:
    return Mismatch(
        source=", ".join(dict.fromkeys(part.source for part in parts)),
        operator=operator,
        expected=tuple(part.expected for part in parts),
        seen=tuple(value for part in parts for value in part.seen),
    )


FALSE_WORDS = frozenset({"", "0", "false", "no", "none", "null", "off"})


def holds(when: Template, scope: Scope) -> bool:
    """Whether a route's `when` is true: a value that isn't empty, and no text that says no.

    Raises:
        RenderError: it can't be evaluated on this webhook.
    """
    value = when.value(scope)
    return value.strip().lower() not in FALSE_WORDS if isinstance(value, str) else bool(value)
