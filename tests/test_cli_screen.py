"""A text that is shown in place."""

import pytest

from bridge.cli.screen import draw


def test_what_has_no_room_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "5")
    monkeypatch.setenv("LINES", "3")
    draw(["1234567", "b", "c", "d"])
    assert capsys.readouterr().out == "\x1b[H12345\x1b[K\nb\x1b[K\n\x1b[J"
