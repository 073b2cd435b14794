"""Every deliberate defect can still be made; `python -m tests.chaos.mutants` shows that each is noticed."""

import ast

import pytest

from tests.chaos.defects import DEFECTS, Defect, Edit
from tests.chaos.matrix import MATRIX
from tests.chaos.mutants import ROOT
from tests.chaos.test_matrix import functions


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_applies_and_leaves_python(defect: Defect) -> None:
    for edit in defect.edits:
        text = (ROOT / edit.file).read_text()
        changed = edit.applied(text)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_names_tests_that_exist_and_a_row(defect: Defect) -> None:
    assert defect.row in MATRIX
    assert defect.tests
    for test in defect.tests:
        file, _, function = test.partition("::")
        assert not function or function in functions(file)
        assert functions(file)


@pytest.mark.parametrize("text", ["", "one", "two two"])
def test_a_text_that_is_not_there_once_is_told(text: str) -> None:
    with pytest.raises(LookupError, match=r"x\.py has"):
        Edit("x.py", "two", "three").applied(text)
