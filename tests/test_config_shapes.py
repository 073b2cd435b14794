from pathlib import Path
from typing import Any

import pytest

from bridge.config.containers import ByKind, ListOf, MappingOf, Placed
from bridge.config.nodes import parse
from bridge.config.problems import Problems, Source
from bridge.config.reader import Invalid, Reader
from bridge.config.secrets import Secrets
from bridge.config.shapes import (
    Boolean,
    Choice,
    Duration,
    FilePath,
    Integer,
    SecretText,
    Shape,
    Size,
    String,
    UrlOf,
)
from bridge.secret import Secret


def read(shape: Shape, written: str, folder: Path = Path()) -> tuple[Any, list[str]]:
    """The value of a shape (`Invalid` where it has none), and the problems."""
    problems = Problems()
    reader = Reader(problems, Secrets(folder, {"NAME": "hunter2", "URL": "ftp://hunter2"}), folder)
    root = parse(Source("f", f"a: {written}\n"), problems)
    assert root is not None
    try:
        value = shape.read(root.entries["a"][1], reader)
    except Invalid:
        value = Invalid
    return value, [f"{p.code.number} {p.message}" + (f" | {p.help}" if p.help else "") for p in problems]


QOS = Integer(0, 2)
WAIT = Duration("10ms", "1h")
WORDS = Choice(("5", "3.1.1", "newest"))
KIND = ByKind(scalar=Choice(("all",)), sequence=ListOf(String()))


@pytest.mark.parametrize(
    ("shape", "written", "value"),
    [
        (String(), "text", "text"),
        (String(), '"5"', "5"),
        (String(), "${NAME}", "hunter2"),
        (String(), "on", "on"),
        (SecretText(), "${NAME}", Secret("hunter2")),
        (SecretText(header=True), "Bearer ${NAME}", Secret("Bearer hunter2")),
        (Boolean(), "true", True),
        (QOS, "2", 2),
        (QOS, "0x1", 1),
        (WORDS, "5", "5"),
        (WORDS, '"5"', "5"),
        (WORDS, "3.1.1", "3.1.1"),
        (WAIT, "20ms", 0.02),
        (WAIT, "1h", 3600.0),
        (Size("1B", "1MiB"), "64KiB", 65536),
        (ListOf(QOS), "[1, 2]", [1, 2]),
        (ListOf(QOS), "[]", []),
        (MappingOf(QOS), "{b: 1}", {"b": 1}),
        (KIND, "all", "all"),
        (KIND, "[x]", ["x"]),
        (FilePath(exists=False), "x/y", Path("/base/x/y")),
        (FilePath(exists=False), "/z", Path("/z")),
    ],
)
def test_values(shape: Shape, written: str, value: object) -> None:
    assert read(shape, written, Path("/base")) == (value, [])


QUOTE = "quote it to make it text"
GIVE = "give it a value, or remove the key"


@pytest.mark.parametrize(
    ("shape", "written", "problem"),
    [
        (String(), "5", f"E0101 expected text, found 5 | {QUOTE}"),
        (String(), "true", f"E0101 expected text, found true | {QUOTE}"),
        (String(), "", f"E0101 expected text, found nothing | {GIVE}"),
        (String(), "[x]", "E0101 expected text, found a list"),
        (String(), '""', "E0104 this text is empty"),
        (String("[a-z]+", "small letters"), "A", "E0104 expected small letters"),
        (String(), "${NONE}", "E0203 the environment variable NONE is not set"),
        (SecretText(), "5", f"E0101 expected a secret such as ${{NAME}} | {QUOTE}"),
        (SecretText(), "", f"E0101 expected a secret such as ${{NAME}}, found nothing | {GIVE}"),
        (SecretText(), '""', "E0104 this secret is empty"),
        (SecretText(header=True), r'"a\nb"', "E0104 a header can't hold control characters"),
        (Boolean(), "yes", "E0101 expected true or false, found the text 'yes' | write true"),
        (Boolean(), "OFF", "E0101 expected true or false, found the text 'OFF' | write false"),
        (Boolean(), "1", "E0101 expected true or false, found 1"),
        (QOS, "3", "E0104 expected a whole number from 0 to 2, found 3"),
        (QOS, "true", "E0101 expected a whole number from 0 to 2, found true"),
        (QOS, '"1"', "E0101 expected a whole number from 0 to 2, found the text '1' | remove the quotes"),
        (QOS, "1.0", "E0101 expected a whole number from 0 to 2, found 1.0"),
        (
            WORDS,
            "newst",
            "E0104 expected one of 5, 3.1.1, newest, found the text 'newst' | did you mean 'newest'?",
        ),
        (WORDS, "{a: b}", "E0101 expected one of 5, 3.1.1, newest, found a mapping"),
        (WAIT, "15", "E0101 expected a duration from 10ms to 1h, found 15 | write the unit: 15s"),
        (
            WAIT,
            "1d",
            "E0104 expected a duration from 10ms to 1h, found the text '1d': not a number with ms, s, m or h",
        ),
        (WAIT, "2h", "E0104 expected a duration from 10ms to 1h, found the text '2h'"),
        (Size("1B", "1MiB"), "2MiB", "E0104 expected a size from 1B to 1MiB, found the text '2MiB'"),
        (Size("1B", "1MiB"), "64", "E0101 expected a size from 1B to 1MiB, found 64 | write the unit: 64B"),
        (ListOf(QOS, least=1), "[]", "E0104 this list is empty"),
        (ListOf(QOS), "1", "E0101 expected a list, found 1"),
        (MappingOf(QOS), "[1]", "E0101 expected a mapping of names, found a list"),
        (KIND, "{a: b}", "E0101 expected all, or a list, found a mapping"),
        (KIND, "every", "E0104 expected all, found the text 'every'"),
        (FilePath(), "none.pem", "E0104 there is no such file"),
        (FilePath(), "x" * 5000, "E0104 there is no such file"),
        (FilePath(exists=False), r'"a\0b"', "E0104 this is no path"),
        (
            UrlOf(("mqtt",), "write `username`"),
            "mqtt://me:pw@h",
            (
                "E0104 this URL can't be used: it can't hold credentials, as URLs are shown in logs"
                " | write `username`"
            ),
        ),
    ],
)
def test_mistakes(shape: Shape, written: str, problem: str) -> None:
    assert read(shape, written) == (Invalid, [problem])


def test_no_message_repeats_what_was_filled_in() -> None:
    for shape in (String("[0-9]+", "digits"), WAIT, QOS, WORDS, UrlOf(("http",), ""), FilePath(), Boolean()):
        value, problems = read(shape, '"${NAME}${URL}"')
        assert value is Invalid
        assert problems
        assert "hunter2" not in "".join(problems)


def test_a_broken_item_is_left_out_and_hides_no_other() -> None:
    assert read(ListOf(QOS), "[1, x, 2, 9]") == (
        [1, 2],
        [
            "E0101 expected a whole number from 0 to 2, found the text 'x'",
            "E0104 expected a whole number from 0 to 2, found 9",
        ],
    )
    assert read(MappingOf(QOS), "{a b: 1, c: x, d: 1}") == (
        {"d": 1},
        ["E0104 'a b' can't be a name here", "E0101 expected a whole number from 0 to 2, found the text 'x'"],
    )


@pytest.mark.parametrize(
    "shape", [String(), SecretText(), QOS, WORDS, WAIT, KIND, ListOf(QOS), MappingOf(QOS)]
)
def test_what_was_refused_already_is_no_second_problem(shape: Shape) -> None:
    value, problems = read(shape, "!tag x")
    assert value is Invalid
    assert len(problems) == 1
    assert problems[0].startswith("E0008")


def test_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    assert read(FilePath(), "ca.pem", tmp_path) == (tmp_path / "ca.pem", [])


def test_a_value_with_its_place() -> None:
    (value, place), _ = read(Placed(String()), "x")
    assert (value, place.line, place.column) == ("x", 1, 4)
