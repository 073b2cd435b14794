"""What is wrong with a routing file, where, and how to mend it.

`Code` is the table of everything that can be wrong; numbers never change their meaning.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

MOST_PROBLEMS: Final = 1000
"""Problems kept per load: no file can fill the memory or the log."""
WIDEST_EXCERPT: Final = 160
LONGEST_LINE: Final = 2000
"""Characters of a line that is excerpted at all; nobody wrote a longer one by hand."""
LONGEST_QUOTE: Final = 60
LONGEST_MESSAGE: Final = 300


class Code(Enum):
    """Every kind of problem: its number (E: the file is refused, W: it is used all the same), its title."""

    UNREADABLE = "E0001", "the file can't be read"
    UNSTABLE = "E0002", "the file changes while it is read"
    TOO_LARGE = "E0003", "the file is too large, too deep or has too many parts"
    NOT_TEXT = "E0004", "the file is not UTF-8 text"
    SYNTAX = "E0005", "this is not YAML"
    EMPTY = "E0006", "the file holds no mapping"
    DUPLICATE_KEY = "E0007", "a key is there twice"
    YAML_FEATURE = "E0008", "aliases, anchors, tags and several documents are refused"

    WRONG_TYPE = "E0101", "a value of the wrong type"
    UNKNOWN_KEY = "E0102", "an unknown key"
    MISSING_KEY = "E0103", "a key is missing"
    BAD_VALUE = "E0104", "a value that is not allowed"
    CONFLICT = "E0105", "keys that don't go together"

    UNKNOWN_NAME = "E0201", "a name that nothing has"
    DUPLICATE_NAME = "E0202", "a name is there twice"
    SECRET = "E0203", "a ${…} reference can't be resolved"

    TEMPLATE = "E0301", "a template can't be compiled"
    CONDITION = "E0302", "a condition can't be compiled"

    TEST_FAILS = "E0401", "one of the file's own tests fails"

    NOTHING_INCLUDED = "W0501", "an include pattern matches no file"
    NEVER_TRUE = "W0502", "a condition that can't be true"
    OLD_PROTOCOL = "W0503", "MQTT 3.1.1 hides failures"
    RETAINED_EVENT = "W0504", "a retained event is seen again by every new subscriber"
    HEADER_IN_BODY = "W0505", "a header that is looked for in the body"
    ALWAYS_THE_SAME = "W0506", "a condition that is the same for every webhook"
    NOT_FILLED_IN = "W0507", "text that looks as if something were filled in"

    def __init__(self, number: str, title: str) -> None:
        self.number = number
        self.title = title

    @property
    def severity(self) -> str:
        """`error` or `warning`."""
        return "error" if self.number.startswith("E") else "warning"


class Source:
    """One file's text, for excerpts; what looks like a secret is masked in them."""

    def __init__(self, name: str, text: str = "") -> None:
        self.name = name
        self.text = text
        self._lines: list[str] | None = None

    def line(self, number: int) -> str:
        """A line by its number from 1; "" where there is none. Lines break where YAML's do."""
        if self._lines is None:
            self._lines = _LINE_BREAK.split(self.text)
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def excerpt(self, number: int, column: int) -> tuple[str, int]:
        """The part of a line around a column, secrets masked, and where in it the column is (from 0)."""
        line = self.line(number)
        if len(line) > LONGEST_LINE:
            return "", 0
        start = max(0, column - 1 - WIDEST_EXCERPT // 2) if column > WIDEST_EXCERPT else 0
        return _mask(line)[start : start + WIDEST_EXCERPT].rstrip(), column - 1 - start


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; line and column count characters from 1."""

    source: Source
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem, ready to be shown. Its text is printable, and holds no resolved secret."""

    code: Code
    file: str
    line: int
    column: int
    message: str
    help: str | None = None
    source_line: str = ""
    caret: int = 0
    """Column of the caret in `source_line`, from 0."""

    @property
    def severity(self) -> str:
        """`error` or `warning`."""
        return self.code.severity

    def __str__(self) -> str:
        """The first line alone: `file:line:col: error[E0102]: what`."""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}[{self.code.number}]: {self.message}"

    def render(self, *, colour: bool = False) -> str:
        """The problem with its source line, a caret and the help, over several lines."""
        head, rest = f"{self.severity}[{self.code.number}]", f": {self.message}"
        if colour:
            tint = _RED if self.severity == "error" else _YELLOW
            head, rest = f"{tint}{head}{_RESET}", f"{_BOLD}{rest}{_RESET}"
        lines = [f"{self.file}:{self.line}:{self.column}: {head}{rest}"]
        if self.source_line:
            lines += [f"  {self.source_line}", f"  {' ' * self.caret}^"]
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, str | int | None]:
        """The problem for machines."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": self.severity,
            "code": self.code.number,
            "message": self.message,
            "help": self.help,
            "source": self.source_line,
        }


class TooManyProblems(Exception):
    """The file has more errors than anyone would read; reading it further makes no sense."""


class Problems:
    """Collects problems in the order they are found."""

    def __init__(self) -> None:
        self._found: dict[tuple[Code, str, int, int], Problem] = {}
        self.errors = 0

    def add(self, code: Code, where: Position, message: str, hint: str | None = None) -> None:
        """Note a problem, unless one of its kind is noted at this place.

        Raises:
            TooManyProblems: it is an error, and `MOST_PROBLEMS` are noted.
        """
        key = (code, where.source.name, where.line, where.column)
        if key in self._found:
            return
        self.errors += code.severity == "error"
        if len(self._found) >= MOST_PROBLEMS:
            if code.severity == "warning":
                return
            raise TooManyProblems
        line, caret = where.source.excerpt(where.line, where.column)
        self._found[key] = Problem(
            code=code,
            file=printable(where.source.name),
            line=where.line,
            column=where.column,
            message=printable(message[:LONGEST_MESSAGE]),
            help=printable(hint[:LONGEST_MESSAGE]) if hint else None,
            source_line=printable(line),
            caret=len(printable(line[:caret])),
        )

    def __iter__(self) -> Iterator[Problem]:
        """All of them by file (in the order files were met), line and column."""
        found = list(self._found.values())
        files = {name: index for index, name in enumerate(dict.fromkeys(p.file for p in found))}
        yield from sorted(found, key=lambda p: (files[p.file], p.line, p.column, p.code.number))


def printable(text: str) -> str:
    r"""Text with everything that could steer a terminal shown as `\x1b`; a tab becomes one space."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c == "\t" else _escape(c) for c in text)


def quoted(text: str) -> str:
    """Text in quotes for a message, shortened."""
    return f"'{text[:LONGEST_QUOTE]}…'" if len(text) > LONGEST_QUOTE else f"'{text}'"


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """`did you mean 'topic'?`, where one of the known words is close."""
    if len(word) > LONGEST_QUOTE:
        return None
    spelling = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), spelling, n=1, cutoff=0.7)
    return f"did you mean '{spelling[close[0]]}'?" if close else None


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _mask(line: str) -> str:
    """The line with stars for what looks secret, to the same width, so that the caret still fits."""
    line = _USER_INFO.sub(lambda found: "*" * len(found[0]), line)
    first = _SECRET_IN_BLOCK.search(line)
    if not first:
        return line
    pattern = _SECRET_IN_FLOW if "{" in line[: first.start()] else _SECRET_IN_BLOCK
    return pattern.sub(lambda found: found["key"] + "*" * len(found["value"]), line)


_RED, _YELLOW, _BOLD, _RESET = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_SENSITIVE = (
    r"""(?P<key>(?:pass\w*|secrets?|token|api_?key|\bkey|[\w-]{0,30}-key|authorization|cookie)"""
    r"""["']?[ \t]*:[ \t]*+)(?!["'\[]*\$\{)"""
)
_QUOTED_OR_LIST = r"""(?P<value>"[^"]*"?|'[^']*'?|\[[^\]]*\]?|"""
_SECRET_IN_BLOCK = re.compile(_SENSITIVE + _QUOTED_OR_LIST + ".+)", re.IGNORECASE)
_SECRET_IN_FLOW = re.compile(_SENSITIVE + _QUOTED_OR_LIST + "[^,}]+)", re.IGNORECASE)
