"""The unit file, as systemd itself reads it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parent.parent / "systemd" / "relay-bridge.service"
ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSURE = 1.5

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed on this machine")


def settings() -> dict[str, list[str]]:
    """The unit's settings by name; a name may be given more than once."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ANALYZE), "--no-pager", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@needs_systemd
def test_systemd_knows_every_line() -> None:
    complaints = _analyze("verify", "--man=no", str(UNIT)).stderr.splitlines()
    # Where the package is not installed, its command is missing; nothing else may be amiss.
    unexpected = [line for line in complaints if "/usr/bin/relay-bridge is not executable" not in line]
    assert unexpected == []


@needs_systemd
def test_systemd_would_tell_of_an_unknown_line(tmp_path: Path) -> None:
    broken = tmp_path / UNIT.name
    broken.write_text(UNIT.read_text().replace("WatchdogSec=", "WatchDogSecs="))
    assert "WatchDogSecs" in _analyze("verify", "--man=no", str(broken)).stderr


@needs_systemd
def test_the_service_is_exposed_little() -> None:
    report = _analyze("security", "--offline=true", str(UNIT)).stdout
    found = re.search(r"Overall exposure level for relay-bridge\.service: ([0-9.]+)", report)
    assert found, report
    assert float(found[1]) <= MOST_EXPOSURE


def test_errors_that_a_restart_cannot_mend_end_the_service() -> None:
    unit = settings()
    assert unit["Restart"] == ["always"]
    # Usage, refused credentials, configuration; not 69 (peer unavailable) nor 75 (another instance runs).
    assert unit["RestartPreventExitStatus"] == ["2 77 78"]
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_a_reload_tells_whether_it_was_applied() -> None:
    unit = settings()
    assert unit["Type"] == ["notify"]  # notify-reload needs systemd 253, and Debian 12 has 252
    assert unit["ExecReload"] == ["/usr/bin/relay-bridge reload --wait 10"]


def test_only_the_service_reads_its_state_and_its_group_the_routing_file() -> None:
    unit = settings()
    assert unit["User"] == unit["Group"] == ["relay-bridge"]
    assert unit["StateDirectoryMode"] == ["0700"]
    assert unit["ConfigurationDirectoryMode"] == ["0750"]
    assert unit["UMask"] == ["0077"]
