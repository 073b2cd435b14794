from pathlib import Path

from bridge.doctor.finding import Check, Finding, State
from bridge.doctor.page import page

PAGE = Path(__file__).parent.parent / "docs" / "doctor.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: .venv/bin/python -m bridge.doctor.page > docs/doctor.md"


def test_every_check_has_a_row_with_its_remedy() -> None:
    for check in Check:
        assert f"\n| `{check.label}` | {check.meaning} | " in page()
        assert Finding(check, State.BAD, "FILE").remedy in page()
        assert Finding(check, State.GOOD, "FILE").remedy == ""
