import re
from pathlib import Path

import pytest

from bridge.config.loader import load
from bridge.config.problems import Code
from tests.support.error_examples import ENVIRONMENT, EXAMPLES, Example, page, problems

ROOT = Path(__file__).parent.parent
LOADED = {code: example for code, example in EXAMPLES.items() if example.language == "yaml"}
MISTAKES = sorted((ROOT / "tests" / "mistakes").glob("*.yaml"))


def test_every_code_has_an_example_in_the_order_of_the_codes() -> None:
    assert list(EXAMPLES) == list(Code)
    assert EXAMPLES.keys() - LOADED.keys() == {Code.UNSTABLE}


@pytest.mark.parametrize(("code", "example"), LOADED.items(), ids=[code.number for code in LOADED])
def test_the_wrong_one_has_that_problem_and_the_right_one_none(
    code: Code, example: Example, tmp_path: Path
) -> None:
    assert {problem.code for problem in problems(example.wrong, tmp_path, example.encoding)} == {code}
    assert problems(example.right, tmp_path) == ()


def test_a_file_that_never_rests() -> None:
    counters = Path("/proc/self/io")  # reading it changes it
    assert [problem.code for problem in load(counters).problems] == [Code.UNSTABLE]


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "errors.md").read_text()
    assert written == page(), "run: .venv/bin/python -m tests.support.error_examples > docs/errors.md"


def test_there_are_many_mistakes_of_every_kind() -> None:
    assert len(MISTAKES) >= 50
    found = {number for file in MISTAKES for _, number in expected(file)}
    of_files = {Code.UNREADABLE, Code.UNSTABLE, Code.TOO_LARGE, Code.TEST_FAILS}
    assert found == {code.number for code in Code} - {code.number for code in of_files}


@pytest.mark.parametrize("file", MISTAKES, ids=[file.stem for file in MISTAKES])
def test_every_problem_of_a_mistaken_file_is_found_where_it_is_and_no_other(file: Path) -> None:
    loaded = load(file, environment=ENVIRONMENT)
    found = [(f"{problem.line}:{problem.column}", problem.code.number) for problem in loaded.problems]
    assert found == expected(file), loaded.report()
    assert (loaded.config is None) == any(number.startswith("E") for _, number in found)


def expected(file: Path) -> list[tuple[str, str]]:
    """The problems that the first lines of a file announce: `# 5:7 E0102`."""
    head = re.match(r"\ufeff?((?:# \d+:\d+ [EW]\d+\r?\n)+)", file.read_bytes().decode(errors="replace"))
    assert head, f"{file} announces nothing"
    return [(place, number) for _, place, number in map(str.split, head[1].splitlines())]
