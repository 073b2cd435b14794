"""Folders as systemd, XDG or a bare environment name them."""

from pathlib import Path

import pytest

from bridge.folders import (
    SYSTEM_CONFIG,
    Folders,
    control_sockets,
    environment_of,
    folders,
    routing_file,
    state_of,
)

SYSTEMD = {"STATE_DIRECTORY": "/var/lib/relay-bridge", "RUNTIME_DIRECTORY": "/run/relay-bridge"}
XDG = {"XDG_STATE_HOME": "/home/u/state", "XDG_RUNTIME_DIR": "/run/user/1000"}


@pytest.mark.parametrize(
    ("environ", "state", "runtime"),
    [
        (SYSTEMD, "/var/lib/relay-bridge", "/run/relay-bridge"),
        (SYSTEMD | XDG, "/var/lib/relay-bridge", "/run/relay-bridge"),
        ({"STATE_DIRECTORY": "/a:/b", "RUNTIME_DIRECTORY": "/c:/d"}, "/a", "/c"),
        (XDG, "/home/u/state/relay-bridge", "/run/user/1000/relay-bridge"),
        # Without a runtime folder of the user's own, not one that others could have made in /tmp.
        ({"XDG_STATE_HOME": "/s"}, "/s/relay-bridge", "/s/relay-bridge"),
        ({"STATE_DIRECTORY": "/s"}, "/s", "/s"),
    ],
)
def test_state_and_runtime(environ: dict[str, str], state: str, runtime: str) -> None:
    assert folders(environ) == Folders(Path(state), Path(runtime))


def test_a_bare_environment_has_its_state_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    assert folders({}).state == Path("/home/u/.local/state/relay-bridge")
    assert folders({"XDG_STATE_HOME": ""}).state == Path("/home/u/.local/state/relay-bridge")


def test_a_command_finds_the_users_daemon_and_then_the_systems() -> None:
    assert control_sockets(XDG) == (
        Path("/run/user/1000/relay-bridge/control.sock"),
        Path("/run/relay-bridge/control.sock"),
    )


def test_a_command_that_systemd_runs_talks_to_its_own_service_alone() -> None:
    assert control_sockets({"RUNTIME_DIRECTORY": "/run/other"}) == (Path("/run/other/control.sock"),)


def test_the_routing_file() -> None:
    assert routing_file({}) == Path("/etc/relay-bridge/bridge.yaml")
    assert routing_file({"RELAY_BRIDGE_CONFIG": "/home/u/b.yaml"}) == Path("/home/u/b.yaml")


def test_another_process_finds_what_the_service_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path("/home/u/b.yaml")
    monkeypatch.setattr("bridge.folders.SYSTEM_STATE", tmp_path)
    assert state_of(SYSTEM_CONFIG, XDG) == tmp_path
    assert state_of(own, XDG) == folders(XDG).state
    assert state_of(SYSTEM_CONFIG, SYSTEMD) == Path("/var/lib/relay-bridge")
    monkeypatch.setattr("bridge.folders.SYSTEM_STATE", tmp_path / "gone")
    assert state_of(SYSTEM_CONFIG, XDG) == folders(XDG).state


def test_root_finds_the_services_credentials() -> None:
    folder = "/etc/relay-bridge/credentials"
    assert environment_of(SYSTEM_CONFIG, XDG) == {**XDG, "CREDENTIALS_DIRECTORY": folder}
    handed = {"CREDENTIALS_DIRECTORY": "/run/credentials/relay-bridge.service"}
    assert environment_of(SYSTEM_CONFIG, handed) == handed
    assert environment_of(Path("/home/u/b.yaml"), XDG) == XDG
