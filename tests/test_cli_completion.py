"""`relay-bridge completion`: a real bash completes, and each shell's script is answered."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli.main import COMMANDS
from tests.support.cli import Done, call, run

SCRIPT = Path(sys.executable).with_name("relay-bridge")
BASH = """\
eval "$(relay-bridge completion bash)"
complete -p relay-bridge
COMP_WORDS=({words}) COMP_CWORD={last}
_relay_bridge_completion relay-bridge
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(*words: str) -> list[str]:
    """What bash offers after these words."""
    program = BASH.format(words=" ".join(f"'{word}'" for word in words), last=len(words) - 1)
    done = subprocess.run(
        ["bash", "--norc", "-c", program],
        env={"PATH": f"{SCRIPT.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    registered, *found = done.stdout.splitlines()
    assert "-F _relay_bridge_completion relay-bridge" in registered
    return found


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("relay-bridge", "re"), ["relay", "reload", "replay"]),
        (("relay-bridge", "tail", "--rou"), ["--route"]),
        (("relay-bridge", "tail", "--outcome", "de"), ["delivered", "dead"]),
        (("relay-bridge", "dead", "p"), ["purge"]),
        (("relay-bridge", "completion", ""), ["bash", "fish", "zsh"]),
    ],
    ids=" ".join,
)
def test_bash_completes(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(*words) == offered


def answered(shell: str, words: str, last: int) -> Done:
    """What the program answers to a shell's script."""
    where = words.split()[last] if shell == "fish" else str(last)
    return run(_RELAY_BRIDGE_COMPLETE=f"{shell}_complete", COMP_WORDS=words, COMP_CWORD=where)


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_each_shell_has_a_script_that_is_answered(shell: str) -> None:
    script = call("completion", shell)
    assert (script.status, script.err) == (0, "")
    assert f"_RELAY_BRIDGE_COMPLETE={shell}_complete" in script.out
    done = answered(shell, "relay-bridge stat", 1)
    assert done.status == 0
    assert "status" in done.out
    assert "tail" not in done.out


def test_without_a_word_every_command_is_offered() -> None:
    done = answered("bash", "relay-bridge ''", 1)
    assert {line.partition(",")[2] for line in done.out.splitlines()} == set(COMMANDS)


@pytest.mark.parametrize("arguments", [(), ("powershell",), ("bash", "zsh")])
def test_other_shells_are_refused(arguments: tuple[str, ...]) -> None:
    assert call("completion", *arguments).status == 2
