"""The operators of conditions. Types are strict: "5" is not 5, and true is not 1."""

import fnmatch
import re
from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any, Final

from bridge.errors import ConditionError
from bridge.routing.patterns import compile_pattern

Predicate = Callable[[object], bool]
"""Whether a value satisfies an operator. Never raises."""

LONGEST_GLOBBED: Final = 65_536
_NUMBERS: Final = (int, float)


def equals(expected: object) -> Predicate:
    """Numbers equal numbers whatever their notation (5 and 5.0), never true or false."""
    if expected is None or isinstance(expected, bool):
        return lambda value: value is expected
    if isinstance(expected, str):
        return lambda value: value == expected
    if isinstance(expected, (int, float)):
        return lambda value: value.__class__ in _NUMBERS and value == expected
    raise ConditionError("a text, number, true, false or null is compared; for one of several use a list")


def one_of(expected: object) -> Predicate:
    """Equals at least one of a list."""
    if not isinstance(expected, list | tuple) or not expected:
        raise ConditionError("a list with at least one value is expected")
    texts = frozenset(value for value in expected if isinstance(value, str))
    others = [equals(value) for value in expected if not isinstance(value, str)]
    return lambda value: value in texts if value.__class__ is str else any(same(value) for same in others)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[object], Predicate]:
    def compile_order(expected: object) -> Predicate:
        if isinstance(expected, str):
            return lambda value: value.__class__ is str and compare(value, expected)
        if isinstance(expected, (int, float)) and not isinstance(expected, bool):
            return lambda value: value.__class__ in _NUMBERS and compare(value, expected)
        raise ConditionError("a number or a text is expected")

    return compile_order


def _startswith(expected: object) -> Predicate:
    start = _text(expected)
    return lambda value: isinstance(value, str) and value.startswith(start)


def _endswith(expected: object) -> Predicate:
    end = _text(expected)
    return lambda value: isinstance(value, str) and value.endswith(end)


def contains(expected: object) -> Predicate:
    """A text holds a text, or a list holds a value."""
    same = equals(expected)

    def holds(value: object) -> bool:
        if isinstance(value, str):
            return isinstance(expected, str) and expected in value
        return isinstance(value, list) and any(map(same, value))

    return holds


def _regex(expected: object) -> Predicate:
    """Anywhere in the text, as most tools do; `^` and `$` anchor it."""
    pattern, longest = compile_pattern(_text(expected))
    return lambda value: (
        isinstance(value, str) and len(value) <= longest and pattern.search(value) is not None
    )


def _glob(expected: object) -> Predicate:
    """The whole text; `*` is any text, `/` included, `?` one character, `[ab]` one of these."""
    matches = re.compile(fnmatch.translate(_text(expected))).match
    return lambda value: (
        isinstance(value, str) and len(value) <= LONGEST_GLOBBED and matches(value) is not None
    )


def _text(expected: object) -> str:
    if not isinstance(expected, str):
        raise ConditionError("a text is expected; put it in quotes")
    return expected


POSITIVE: Final[Mapping[str, Callable[[object], Predicate]]] = {
    "eq": equals,
    "in": one_of,
    "gt": _ordered(gt),
    "gte": _ordered(ge),
    "lt": _ordered(lt),
    "lte": _ordered(le),
    "startswith": _startswith,
    "endswith": _endswith,
    "contains": contains,
    "regex": _regex,
    "glob": _glob,
}
"""Hold where any value of the source satisfies them; a missing one never does."""
NEGATIVE: Final[Mapping[str, Callable[[object], Predicate]]] = {"ne": equals, "not_in": one_of}
"""Hold where no value of the source satisfies what they negate; so they hold where it is missing."""
