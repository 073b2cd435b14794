"""`relay-bridge check`, for people and for machines."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import ESCAPE, call, run

GOOD = """\
relay: {key: a, secret: b}
brokers: {home: {url: "mqtt://127.0.0.1"}}
routes:
  - {name: r, send: [{mqtt: a/b}]}
"""
BAD = GOOD.replace("send", "sned").replace("name: r", "name: 5")
WARNS = GOOD.replace('127.0.0.1"', '127.0.0.1", protocol: 3.1.1')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bridge.yaml"


def test_a_good_file(file: Path) -> None:
    file.write_text(GOOD)
    done = call("check", "-c", file)
    assert (done.status, done.out, done.err) == (0, "no problems\n", "")


def test_every_problem_with_its_place_and_then_a_total(file: Path) -> None:
    file.write_text(BAD)
    done = call("check", "-c", file)
    assert (done.status, done.err) == (78, "")
    assert f"{file}:4:12: error[E0101]: " in done.out
    assert "help: did you mean 'send'?" in done.out
    assert done.out.count("error[") == int(done.out.splitlines()[-1].split()[0])
    assert done.out.splitlines()[-1].endswith(" errors")


def test_the_same_for_machines(file: Path) -> None:
    file.write_text(BAD)
    done = call("check", "-c", file, "--format", "json")
    answer = done.json()
    assert done.status == 78
    assert answer["ok"] is False
    assert {"file", "line", "column", "severity", "code", "message", "help"} <= answer["problems"][0].keys()
    assert [problem["line"] for problem in answer["problems"]] == [4] * len(answer["problems"])


def test_a_warning_does_not_refuse_the_file(file: Path) -> None:
    file.write_text(WARNS)
    done = call("check", "-c", file)
    assert done.status == 0
    assert done.out.splitlines()[-1] == "1 warning"
    answer = call("check", "-c", file, "--format", "json").json()
    assert answer["ok"] is True
    assert [problem["severity"] for problem in answer["problems"]] == ["warning"]


def test_the_file_is_the_environments_where_none_is_given(file: Path) -> None:
    file.write_text(GOOD)
    assert run("check", RELAY_BRIDGE_CONFIG=str(file)).status == 0


def test_a_file_that_is_not_there(file: Path) -> None:
    done = call("check", "-c", file)
    assert done.status == 78
    assert f"{file}:1:1: error[E0001]" in done.out
    assert "No such file" in done.out


def test_no_escape_of_the_file_reaches_the_terminal(file: Path) -> None:
    file.write_bytes(b'relay: {"k\\e[2Jey": "\\x9b"}\nroutes: [{"\\e]0;title\\a": 1}]\n# \x1b[31m \xc2\x9b\n')
    for form in ("text", "json"):
        done = call("check", "-c", file, "--format", form)
        assert done.status == 78
        assert ESCAPE not in done.out
        assert "\x9b" not in done.out


def on_a_terminal(file: Path, **environment: str) -> str:
    """What `check` writes to a terminal."""
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "bridge", "check", "-c", str(file)],
        stdout=theirs,
        env=os.environ | environment,
        check=False,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # EIO: nobody has the terminal any more, and everything was read
        pass
    finally:
        os.close(ours)
    return shown.decode()


def test_colour_is_for_terminals_that_want_it(file: Path) -> None:
    file.write_text(BAD)
    assert ESCAPE not in call("check", "-c", file).out
    assert f"{ESCAPE}[31m" in on_a_terminal(file, NO_COLOR="")
    assert ESCAPE not in on_a_terminal(file, NO_COLOR="1")
