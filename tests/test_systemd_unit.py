"""The unit files and what goes with them, as systemd itself reads them."""

import re
import subprocess
from pathlib import Path

import pytest

from bridge.folders import NAME, SYSTEM_CONFIG, SYSTEM_RUNTIME

FOLDER = Path(__file__).parent.parent / "systemd"
BRIDGE = FOLDER / "relay-bridge.service"
RELAY = FOLDER / "relay-bridge-relay.service"
UNITS = pytest.mark.parametrize("unit", [BRIDGE, RELAY], ids=lambda unit: unit.stem)
MOST_EXPOSURE = 1.5
HARDENING = "# A core holds every secret"


def settings(unit: Path) -> dict[str, list[str]]:
    """The unit's settings by name; a name may be given more than once."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def systemd(command: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of systemd's own programs, which the package `systemd` brings."""
    return subprocess.run(
        [command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    try:
        return systemd("systemd-analyze", "--no-pager", *arguments)
    except FileNotFoundError:
        pytest.fail("systemd-analyze is needed: apt install systemd")


@UNITS
def test_systemd_knows_every_line(unit: Path) -> None:
    complaints = analyze("verify", "--man=no", unit).stderr.splitlines()
    # Where the package is not installed, its command is missing; nothing else may be amiss.
    unexpected = [line for line in complaints if "/usr/bin/relay-bridge is not executable" not in line]
    assert unexpected == []


@UNITS
def test_systemd_would_tell_of_an_unknown_line(unit: Path, tmp_path: Path) -> None:
    broken = tmp_path / unit.name
    broken.write_text(unit.read_text().replace("RestartSec=", "RestartSecs="))
    assert "RestartSecs" in analyze("verify", "--man=no", broken).stderr


@UNITS
def test_the_service_is_exposed_little(unit: Path) -> None:
    report = analyze("security", "--offline=true", unit).stdout
    found = re.search(rf"Overall exposure level for {re.escape(unit.name)}: ([0-9.]+)", report)
    assert found, report
    assert float(found[1]) <= MOST_EXPOSURE


def test_both_services_are_confined_alike() -> None:
    bridge, relay = (unit.read_text().partition(HARDENING)[2] for unit in (BRIDGE, RELAY))
    assert bridge.count("\n") > 30
    assert bridge == relay


def test_errors_that_a_restart_cannot_mend_end_the_service() -> None:
    for unit, statuses in ((BRIDGE, "2 77 78"), (RELAY, "2 78")):
        found = settings(unit)
        assert found["Restart"] == ["always"]
        # Usage, refused credentials, configuration; not 69 (peer unavailable) nor 75 (another instance runs).
        assert found["RestartPreventExitStatus"] == [statuses]
        assert found["StartLimitIntervalSec"] == ["0"]


def test_a_reload_tells_whether_it_was_applied() -> None:
    unit = settings(BRIDGE)
    assert unit["Type"] == ["notify"]  # notify-reload needs systemd 253, and Debian 12 has 252
    assert unit["ExecReload"] == ["/usr/bin/relay-bridge reload --wait 10"]


def test_only_the_service_reads_its_state_and_its_group_the_routing_file() -> None:
    unit = settings(BRIDGE)
    assert unit["User"] == unit["Group"] == ["relay-bridge"]
    assert unit["StateDirectoryMode"] == ["0700"]
    assert unit["ConfigurationDirectoryMode"] == ["0750"]
    assert unit["UMask"] == ["0077"]


def test_the_commands_look_where_the_service_is() -> None:
    unit = settings(BRIDGE)
    assert unit["StateDirectory"] == unit["RuntimeDirectory"] == unit["ConfigurationDirectory"] == [NAME]
    assert Path("/run", unit["RuntimeDirectory"][0]) == SYSTEM_RUNTIME
    assert Path("/etc", unit["ConfigurationDirectory"][0]) == SYSTEM_CONFIG.parent


def test_the_relay_can_not_read_what_the_bridge_can() -> None:
    bridge, relay = settings(BRIDGE), settings(RELAY)
    assert bridge["User"] != relay["User"]
    assert relay["InaccessiblePaths"] == ["-/etc/relay-bridge -/var/lib/relay-bridge"]
    (settings_file,) = relay["LoadCredential"]
    assert settings_file.partition(":")[0] in relay["ExecStart"][0]


def test_sysusers_makes_the_units_users_without_a_shell(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    done = systemd("systemd-sysusers", f"--root={tmp_path}", FOLDER / "sysusers.d" / "relay-bridge.conf")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "etc/passwd").read_text().splitlines()
    users = {line.split(":")[0]: line.split(":")[5:] for line in lines}
    for unit in map(settings, (BRIDGE, RELAY)):
        assert users.pop(unit["User"][0]) == [f"/var/lib/{unit['StateDirectory'][0]}", "/usr/sbin/nologin"]
    assert users == {}


def test_tmpfiles_keeps_secrets_from_all_but_the_service(tmp_path: Path) -> None:
    """Applied for real, to a root of which the users are made first; run again, it mends what is too open."""
    (tmp_path / "etc").mkdir()
    systemd("systemd-sysusers", f"--root={tmp_path}", FOLDER / "sysusers.d" / "relay-bridge.conf")
    etc = tmp_path / "etc/relay-bridge"
    (etc / "credentials").mkdir(parents=True)
    for name in ("bridge.yaml", "relay.yaml", "credentials/relay-key"):
        (etc / name).touch()
        (etc / name).chmod(0o666)
    # Who is not root can't give a file away: then the owners stay, and the rest is tested.
    done = systemd(
        *("systemd-tmpfiles", "--create", f"--root={tmp_path}", FOLDER / "tmpfiles.d" / "relay-bridge.conf")
    )
    assert "syntax" not in done.stderr.lower(), done.stderr
    modes = {str(path.relative_to(etc)): path.stat().st_mode & 0o7777 for path in etc.rglob("*")}
    assert modes == {
        "bridge.yaml": 0o640,
        "relay.yaml": 0o600,
        "routes.d": 0o750,
        "credentials": 0o700,
        "credentials/relay-key": 0o600,
    }
    assert (etc.stat().st_mode & 0o7777) == 0o750
