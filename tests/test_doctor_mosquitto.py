from pathlib import Path

import pytest

from bridge.doctor.mosquitto import is_persistent, settings_of


def process(proc: Path, number: int, *arguments: str) -> None:
    (proc / str(number)).mkdir(parents=True)
    (proc / str(number) / "cmdline").write_bytes("\0".join((*arguments, "")).encode())


def test_the_process_that_listens_is_found_with_what_its_file_includes(tmp_path: Path) -> None:
    more = tmp_path / "conf.d"
    more.mkdir()
    (more / "webhooks.conf").write_text(f"listener 2883\npersistence true\ninclude_dir {more}\n")
    (tmp_path / "main.conf").write_text(f"# persistence true\n\ninclude_dir {more}\n")
    (tmp_path / "other.conf").write_text("listener 3883\n")
    proc = tmp_path / "proc"
    process(proc, 1, "/sbin/init")
    process(proc, 7, "/usr/sbin/mosquitto", "-c", str(tmp_path / "other.conf"))
    process(proc, 8, "/usr/sbin/mosquitto", "-c", str(tmp_path / "main.conf"))
    process(proc, 9, "mosquitto", "--config-file", str(tmp_path / "gone.conf"))
    lines = settings_of(2883, proc)
    assert lines is not None
    assert is_persistent(lines)
    assert settings_of(3883, proc) == ["listener 3883"]
    assert settings_of(1883, proc) is None
    process(proc, 10, "mosquitto")
    assert settings_of(1883, proc) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], False),
        (["persistence true"], True),
        (["persistence true", "persistence false"], False),
        (["persistence_location /x", "autosave_interval 60"], False),
    ],
)
def test_persistence(lines: list[str], expected: bool) -> None:
    assert is_persistent(lines) is expected
