"""The fault matrix is whole: each row has tests that exist, and the documentation shows them."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.chaos import scenario, test_fuzz, test_journal_kills, test_scenarios
from tests.chaos.budget import BUDGET
from tests.chaos.matrix import MATRIX, table
from tests.chaos.powercut import test_powercut

TESTS = Path(__file__).parent.parent
PAGE = TESTS.parent / "docs" / "guarantee.md"
ROWS = {
    "P": range(1, 10),
    "R": [n for n in range(1, 21) if n != 10],
    "M": range(1, 11),
    "H": [n for n in range(1, 14) if n != 2],
    "S": range(1, 9),
    "C": range(1, 9),
    "X": range(1, 4),
}
"""The numbers that were given; R10 and H2 never were."""


@cache
def functions(file: str) -> frozenset[str]:
    """The tests at the top of a file."""
    tree = ast.parse((TESTS / file).read_text())
    named = (node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in named if name.startswith("test_"))


def test_every_row_is_there() -> None:
    assert set(MATRIX) == {f"{letter}{n}" for letter, numbers in ROWS.items() for n in numbers}


@pytest.mark.parametrize("row", MATRIX)
def test_a_row_has_tests_that_exist(row: str) -> None:
    assert MATRIX[row].tests
    for test in MATRIX[row].tests:
        file, _, function = test.partition("::")
        assert function in functions(file), test


def test_the_documentation_shows_it() -> None:
    assert table() in PAGE.read_text(), "python -m tests.chaos.matrix prints what belongs there"


@pytest.mark.skipif(BUDGET != 1, reason="the documentation tells the everyday figures")
def test_the_figures_are_those_of_the_tests() -> None:
    lines = PAGE.read_text().splitlines()
    figures = (
        ("Webhooks through random faults", test_scenarios.SEEDS * scenario.WEBHOOKS),
        ("Images of power cuts", test_powercut.CHAINS * test_powercut.LINKS * test_powercut.IMAGES),
        ("`kill -9` of the journal's process", test_journal_kills.CYCLES),
        ("Damaged messages to the parser", test_fuzz.FRAMES),
    )
    for what, count in figures:
        assert f"| {what} | {count:,} | {10 * count:,} |" in lines
