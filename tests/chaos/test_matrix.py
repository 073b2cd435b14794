"""The fault matrix is whole: each row has tests that exist, and the documentation shows them."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.chaos.matrix import MATRIX, table

TESTS = Path(__file__).parent.parent
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
    assert MATRIX[row][1]
    for test in MATRIX[row][1]:
        file, _, function = test.partition("::")
        assert function in functions(file), test


def test_the_documentation_shows_it() -> None:
    page = (TESTS.parent / "docs" / "guarantee.md").read_text()
    assert table() in page, "python -m tests.chaos.matrix prints what belongs there"
