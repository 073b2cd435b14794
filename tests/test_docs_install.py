"""What docs/install.md and docs/logs.md say is true of the units, the package and the commands."""

import re
import tomllib
from pathlib import Path

import click
import pytest

from bridge.cli.main import COMMANDS, cli
from bridge.config.loader import load
from bridge.folders import SOCKET_NAME, SYSTEM_CONFIG, SYSTEM_RUNTIME
from bridge.logs import LEVELS
from bridge.logs.journald import PREFIX
from bridge.logs.lines import FIELDS
from tests.test_systemd_unit import BRIDGE, FOLDER, RELAY, settings

ROOT = Path(__file__).parent.parent
INSTALL = (ROOT / "docs" / "install.md").read_text()
LOGS = (ROOT / "docs" / "logs.md").read_text()
BUILD = (FOLDER / "deb" / "build.sh").read_text()
TMPFILES = (FOLDER / "tmpfiles.d" / "relay-bridge.conf").read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def commands_of(page: str) -> list[list[str]]:
    """The words after `relay-bridge` in each line of its shell blocks that calls it."""
    lines = "\n".join(blocks(page, "sh")).splitlines()
    found = [re.search(r"(?:^|\s|/)relay-bridge ((?:[a-z]+)(?: --?\S+| \S+)*)$", line) for line in lines]
    calls = [match[1].split() for match in found if match and "systemctl" not in match.string]
    return [call for call in calls if call[0] in COMMANDS]


@pytest.mark.parametrize("page", [INSTALL, LOGS], ids=["install", "logs"])
def test_the_commands_take_the_options_given(page: str) -> None:
    calls = commands_of(page)
    assert calls
    for name, *rest in calls:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        command.make_context(name, list(rest))


def test_the_credentials_that_the_drop_in_loads_are_those_that_the_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drop_in, *_), (routing,) = blocks(INSTALL, "ini"), blocks(INSTALL, "yaml")
    loaded = dict(re.findall(r"^LoadCredential=([a-z-]+):(\S+)$", drop_in, re.MULTILINE))
    assert set(loaded) == set(re.findall(r"\$\{credential:([a-z-]+)\}", routing))
    written = re.findall(r"/dev/stdin (\S+)", INSTALL)
    assert list(loaded.values()) == written
    for name, path in loaded.items():
        assert Path(path) == SYSTEM_CONFIG.parent / "credentials" / name
        (tmp_path / name).write_text("s3cret\n")
    file = tmp_path / "bridge.yaml"
    file.write_text(routing + "routes: []\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    config = load(file).config
    assert config is not None
    assert config.relay.secret.reveal() == "s3cret"


def test_things_live_where_the_unit_the_package_and_the_code_put_them() -> None:
    table = INSTALL.partition("## Where things live")[2].partition("\n## ")[0]
    paths = set(re.findall(r"`(/[^`]+)`", table))
    unit = settings(BRIDGE)
    assert str(SYSTEM_CONFIG) in paths
    assert str(SYSTEM_RUNTIME / SOCKET_NAME) in paths
    assert f"/var/lib/{unit['StateDirectory'][0]}/" in paths
    assert settings(RELAY)["AssertPathExists"][0] in paths
    for folder in ("routes.d", "credentials"):
        assert f"/etc/relay-bridge/{folder}/" in paths
        assert f"d /etc/relay-bridge/{folder} " in TMPFILES
    assert unit["ExecStart"][0].split()[0] in paths
    for path in ("/usr/lib/relay-bridge", "/usr/share/relay-bridge"):
        assert f"{path}/" in paths
        assert path in BUILD


def test_the_files_that_are_copied_exist_and_the_wheel_brings_them() -> None:
    shared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    folders = set(shared["shared-data"])
    copied = re.findall(r"(?<=[ '])(?:systemd|config)/\S+", "\n".join(blocks(INSTALL, "sh")))
    assert len(copied) >= 4
    for path in copied:
        assert (ROOT / path).is_file(), path
        assert path.split("/")[0] in folders


def test_the_changed_path_is_one_that_the_unit_has() -> None:
    assert "sed 's|/usr/bin/|/usr/local/bin/|' systemd/relay-bridge.service" in INSTALL
    assert "/usr/bin/relay-bridge run" in BRIDGE.read_text()
    assert "/usr/local/bin/relay-bridge" in INSTALL


def test_the_statuses_that_end_the_service_are_explained() -> None:
    unit = settings(BRIDGE)
    for status in set(unit["RestartPreventExitStatus"][0].split()) - {
        "77"
    }:  # the daemon stays up when refused
        assert f"`failed`, status {status}" in INSTALL
    assert f"tried again every {unit['RestartSec'][0]} s" in INSTALL


def test_the_fields_are_the_codes() -> None:
    table = set(re.findall(rf"^\| `{PREFIX}([A-Z]+)`", LOGS, re.MULTILINE))
    assert table == {name.upper() for name in FIELDS} | {"LOST"}
    assert set(re.findall(rf"journalctl {PREFIX}([A-Z]+)=", LOGS)) < table


def test_the_levels_and_the_control_command_are_the_codes() -> None:
    assert f"`{'`, `'.join(LEVELS[:-1])}` and `{LEVELS[-1]}`" in LOGS
    (path, command) = re.findall(r"--unix-socket (\S+) .* http://localhost/(\S+)", LOGS)[0]
    assert Path(path) == SYSTEM_RUNTIME / SOCKET_NAME
    assert f'"{command}"' in (ROOT / "bridge" / "operations.py").read_text()
