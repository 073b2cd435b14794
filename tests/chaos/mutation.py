"""Text and bytes, damaged at random."""

from collections.abc import Callable
from random import Random

Change = Callable[[str, str, str, Random], str]
"""Makes a text of what is before a place, there, and behind it."""

TROUBLE = (
    *('"', "\\", "{", "}", "[", "]", ":", ",", "null", "true", "NaN", "Infinity", "1e400", "-0", "9" * 400),
    *("\x00", "\x1b[2J", "\ud800", "\ufeff", "\u202e", "😀", "\uffff", "\\ud800", "\\u0000"),
    *(
        "[" * 3000,
        '{"a":' * 2000,
        '"type":"webhook",',
        '"meta":{"id":"x"},',
        '"body":null,',
        '"headers":{"a":[1]},',
    ),
    *("{{", "}}", "{%", "${", "../", "#", "+"),
    *("&a ", "*a", "<<: ", "!!python/object:os.system ", "? ", "- ", "# ", "\t", "\r", "\n", "\x85"),
)
"""What has broken a parser somewhere."""


def _drop(before: str, _there: str, behind: str, _chance: Random) -> str:
    return before + behind


def _cut(before: str, _there: str, _behind: str, _chance: Random) -> str:
    return before


def _double(before: str, there: str, behind: str, _chance: Random) -> str:
    return before + there + there + behind


def _insert(before: str, there: str, behind: str, chance: Random) -> str:
    return before + chance.choice(TROUBLE) + there + behind


def _replace(before: str, _there: str, behind: str, chance: Random) -> str:
    return before + chance.choice(TROUBLE) + behind


def _blur(before: str, there: str, behind: str, chance: Random) -> str:
    return before + chr(chance.randrange(0x250)) + there[1:] + behind


_CHANGES: tuple[Change, ...] = (_drop, _cut, _double, _insert, _replace, _blur)


def mutated(text: str, chance: Random) -> str:
    """The text with one to three changes, mostly small ones."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        start = chance.randrange(len(text) + 1)
        end = start + chance.choice((1, 2, 10, 100))
        text = chance.choice(_CHANGES)(text[:start], text[start:end], text[end:], chance)
    return text
