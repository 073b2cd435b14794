"""Regular expressions that can't run for minutes, whatever a stranger sends.

Python's engine backtracks: the time grows with the text's length to the power of the repeats without bound,
and exponentially where a repeated group itself can match in several ways.
"""

import re
from dataclasses import dataclass
from typing import Final

from bridge.errors import ConditionError

LONGEST_TEXT: Final = (65_536, 4_096, 512, 128, 64)
"""Characters that are searched, by the number of unbounded repeats in the pattern: about 0.1 s at worst."""
FEW: Final = 8
"""A group that is repeated up to so often may hold repeats; each then counts so many times."""

_TOKEN: Final = re.compile(
    r"""(?P<escape> \\. )
      | (?P<comment> \(\?\# [^)]* \) )
      | (?P<set> \[ \^? \]? (?: \\. | [^\]\\] )* \] )
      | (?P<open> \( \?? )
      | (?P<close> \) )
      | (?P<repeat> (?: [*+?] | \{ (?: \d+ (?: , \d* )? | ,\d+ ) \} ) [?+]? )
      | (?P<choice> \| )
      | (?P<other> . )""",
    re.VERBOSE | re.DOTALL,
)
_VERBOSE: Final = re.compile(r"\(\?[a-zA-Z]*x")


@dataclass(slots=True)
class _Group:
    repeats: int = 0
    """Unbounded repeats inside."""
    ambiguous: bool = False
    """It can match one text in several ways."""

    def take(self, inner: "_Group", times: int = 1) -> None:
        self.repeats += inner.repeats * times
        self.ambiguous = self.ambiguous or inner.ambiguous


def compile_pattern(pattern: str) -> tuple[re.Pattern[str], int]:
    """A regular expression, and the longest text that it may search.

    Raises:
        ConditionError: it isn't one, or could take minutes.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConditionError(f"not a regular expression: {error}") from None
    if _VERBOSE.search(pattern):
        raise ConditionError("the flag x is not supported in a regular expression here")
    repeats = _unbounded_repeats(pattern)
    if repeats >= len(LONGEST_TEXT):
        raise ConditionError(f"more than {len(LONGEST_TEXT) - 1} unbounded repeats (*, +, {{n,}})")
    return compiled, LONGEST_TEXT[repeats]


def _unbounded_repeats(pattern: str) -> int:
    groups, closed = [_Group()], _Group()
    for token in _TOKEN.finditer(pattern):
        if token.lastgroup == "repeat":
            _repeat(groups[-1], closed, *_bounds(token[0]))
        else:
            groups[-1].take(closed)
        closed = _Group()
        match token.lastgroup:
            case "open":
                groups.append(_Group())
            case "close":
                closed = groups.pop()
            case "choice":
                groups[-1].ambiguous = True
    groups[-1].take(closed)
    return groups[-1].repeats


def _repeat(outer: _Group, inner: _Group, least: int, most: int | None) -> None:
    """A repeat of what was just closed, or of one character where nothing was."""
    if inner.ambiguous and (most is None or most > FEW):
        raise ConditionError("a repeated group holds a repeat or a choice, which can take for ever")
    outer.take(inner, most or 1)
    outer.repeats += most is None or most - least > FEW
    outer.ambiguous = outer.ambiguous or most != least


def _bounds(repeat: str) -> tuple[int, int | None]:
    """How often at least and at most; None without bound."""
    match repeat[0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
    least, comma, most = repeat[1 : repeat.index("}")].partition(",")
    if not comma:
        return int(least), int(least)
    return int(least or 0), int(most) if most else None
