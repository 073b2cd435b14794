"""The command as a whole: help, exit statuses, and how errors look."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli.exits import DaemonUnavailable, exit_status, tell
from bridge.cli.main import COMMANDS
from bridge.errors import (
    BridgeError,
    ConfigError,
    CredentialsRefused,
    JournalBusy,
    JournalError,
    RelayError,
)
from bridge.version import __version__
from tests.support.cli import call, run

FEW_SECONDS = 0.3
"""CPU time in which a command that does little has to be over, on a machine that is no Pi."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BridgeError("x"), 1),
        (JournalError("x"), 1),
        (PermissionError(13, "Permission denied"), 1),
        (RelayError("x"), 69),
        (DaemonUnavailable("x"), 69),
        (JournalBusy("x"), 75),
        (CredentialsRefused("x"), 77),
        (ConfigError("x"), 78),
    ],
)
def test_the_exit_status_says_whose_fault_it_is(error: BridgeError | OSError, status: int) -> None:
    assert exit_status(error) == status


def test_an_error_on_stderr_can_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tell(ConfigError("first\n\x1b[2J\x9bsecond"))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "relay-bridge: first\n\\x1b[2J\\x9bsecond\n")


def test_an_error_of_the_system_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    tell(PermissionError(13, "Permission denied", "/var/lib/relay-bridge"))
    assert capsys.readouterr().err == "relay-bridge: /var/lib/relay-bridge: Permission denied\n"


def test_version() -> None:
    done = run("--version")
    assert (done.status, done.out, done.err) == (0, f"relay-bridge, version {__version__}\n", "")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command(option: str) -> None:
    done = call(option)
    assert (done.status, done.err) == (0, "")
    for name in COMMANDS:
        assert f"\n  {name} " in done.out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    done = call(name, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Usage: relay-bridge {name}")


def test_the_installed_command_is_the_same() -> None:
    script = Path(sys.executable).with_name("relay-bridge")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == run("--version").out


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["--loud"],
        ["check", "--format", "xml"],
        ["run", "--log-level", "loud"],
        ["explain"],
        ["explain", "/no/such/file"],
        ["forward"],
        ["forward", "--bucket", "doorbell"],
        ["forward", "--bucket", "doorbell", "--mqtt", "a", "--http", "http://127.0.0.1/"],
        ["relay", "--listen", "here"],
        ["relay", "--listen", "127.0.0.1:99999"],
        ["reload", "--wait", "0"],
        ["demo", "--port", "70000"],
    ],
)
def test_wrong_usage_is_status_2_and_says_how_it_goes(arguments: list[str]) -> None:
    done = call(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Usage: relay-bridge")
    assert "Error: " in done.err


@pytest.mark.parametrize("command", ["status", "reload"])
def test_without_a_daemon_a_command_says_so(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    done = call(command)
    assert (done.status, done.out) == (69, "")
    assert done.err == f"relay-bridge: no daemon runs: nobody listens at {tmp_path}/control.sock\n"


def test_a_pipe_that_breaks_is_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("routes:\n" + "  - {nme: x}\n" * 400)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "check", "-c", file],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 1


def test_a_terminal_of_few_characters_gets_escapes(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("schlüssel-字: 1\n")
    done = run("check", "-c", file, PYTHONIOENCODING="latin-1")
    assert done.status == 78
    assert r"unknown key 'schlüssel-\u5b57'" in done.out


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check"], *([name, "--help"] for name in sorted(COMMANDS))], ids=" ".join
)
def test_a_command_that_does_little_is_over_soon(arguments: list[str], tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("relay: {key: a, secret: b}\nroutes: [{name: a, match: {bucket: b}, send: []}]\n")
    # A busy machine makes it more, never less.
    assert any(cpu_seconds(arguments, file) < FEW_SECONDS for _ in range(5))


def cpu_seconds(arguments: list[str], file: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(*arguments, RELAY_BRIDGE_CONFIG=str(file))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


NETWORK = {"aiohttp", "paho", "watchdog", "websockets"}
HEAVY = NETWORK | {"asyncio", "jinja2", "sqlite3", "yaml"}
AT_THE_DAEMON = [
    ["dead", "list"],
    ["reload"],
    ["replay", "1"],
    ["send", "--sample", "doorbell"],
    ["status"],
    ["tail"],
]
"""Commands that ask the running daemon, and do nothing themselves."""


def loaded_by(commands: list[list[str]], folder: Path) -> set[str]:
    """The packages that a process has imported after all of these commands."""
    program = (
        "import sys; from contextlib import suppress; from bridge.cli.main import main\n"
        f"for one in {commands}:\n"
        "    with suppress(SystemExit): main(one)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    environment = os.environ | {"RUNTIME_DIRECTORY": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    return set(done.stdout.splitlines()[-1].split())


def test_no_help_loads_what_the_command_needs(tmp_path: Path) -> None:
    found = loaded_by([[name, "--help"] for name in COMMANDS if name != "relay"], tmp_path)
    assert not found & (HEAVY - {"asyncio"})
    assert "click" in found
    # Its subcommands change what the relay keeps, and so read its files.
    assert not loaded_by([["relay", "--help"]], tmp_path) & NETWORK


def test_commands_that_ask_the_daemon_load_nothing_heavy(tmp_path: Path) -> None:
    helps = [[*arguments[:1], "--help"] for arguments in AT_THE_DAEMON]
    commands = [["--help"], ["completion", "zsh"], *helps, *AT_THE_DAEMON]
    assert not loaded_by(commands, tmp_path) & HEAVY


def test_a_routing_file_is_checked_without_a_network_library(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("routes: []\n")
    commands = [
        ["check", "-c", str(file)],
        ["explain", "-c", str(file), str(file)],
        ["test", "-c", str(file)],
    ]
    found = loaded_by(commands, tmp_path)
    assert not found & NETWORK
    assert "yaml" in found
