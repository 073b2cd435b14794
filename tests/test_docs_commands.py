"""The page of commands names every command with every option, and none that there is not."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bridge import operations
from bridge.cli import exits, tail
from bridge.cli.main import cli
from bridge.demo.samples import BUCKETS
from bridge.injection import MOST
from bridge.passages import BYTES, KEPT
from bridge.relay import lookup

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "commands.md").read_text()
SYNOPSES = [
    line
    for block in re.findall(r"^```text\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something by itself, by what is typed after `relay-bridge`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


COMMANDS = dict(commands(cli))


def command_of(synopsis: str) -> str:
    """The longest command that a synopsis begins with."""
    words = synopsis.removeprefix("relay-bridge ").split()
    found = [" ".join(words[:count]) for count in (1, 2, 3)]
    return max((one for one in found if one in COMMANDS), key=len, default="")


def names(command: click.Command) -> list[set[str]]:
    """The names of each option."""
    return [{*one.opts, *one.secondary_opts} for one in command.params if isinstance(one, click.Option)]


@pytest.mark.parametrize("path", COMMANDS)
def test_each_command_is_there_with_each_of_its_options(path: str) -> None:
    said = {option for one in SYNOPSES if command_of(one) == path for option in OPTION.findall(one)}
    assert path in map(command_of, SYNOPSES)
    missing = [one for one in names(COMMANDS[path]) if not one & said]
    assert not missing


@pytest.mark.parametrize("synopsis", SYNOPSES)
def test_what_is_there_exists(synopsis: str) -> None:
    path = command_of(synopsis)
    assert path, "no such command"
    known = set().union(*names(COMMANDS[path]))
    assert set(OPTION.findall(synopsis)) <= known
    rest = synopsis.removeprefix(f"relay-bridge {path}").strip()
    takes = any(isinstance(one, click.Argument) for one in COMMANDS[path].params)
    assert takes or not re.match(r"[A-Za-z]", rest), "it takes no argument"


def test_options_in_the_text_exist() -> None:
    known = {"--help"}.union(*(one for command in COMMANDS.values() for one in names(command)))
    found = {option for span in re.findall(r"`([^`\n]+)`", TEXT) for option in OPTION.findall(span)}
    assert found
    assert found <= known


def test_choices_are_those_of_the_options() -> None:
    for synopsis in SYNOPSES:
        for option in COMMANDS[command_of(synopsis)].params:
            said = re.search(rf"{re.escape(option.opts[-1])} ([a-z|]+)\b", synopsis)
            if said and "|" in said[1] and isinstance(option.type, click.Choice):
                assert tuple(said[1].split("|")) == tuple(option.type.choices), synopsis
    outcomes = re.search(r"OUTCOME is (.*?)\. With", TEXT, re.DOTALL)
    assert outcomes is not None
    assert tuple(re.findall(r"`(\w+)`", outcomes[1])) == tail.OUTCOMES
    assert f"--sample {'|'.join(BUCKETS)}" in TEXT


def test_every_exit_status_is_there() -> None:
    told = {int(one) for one in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    code = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert told == code | {0, 2}


def test_its_figures_are_the_codes() -> None:
    assert (KEPT, lookup.MOST, MOST, tail.MOST_PAST) == (200,) * 4
    assert BYTES == 2 << 20
    assert "remembers 200, as long as their bodies are not over 2 MiB" in TEXT
    assert operations.MOST_PATIENCE == 600
    assert "at most 10 minutes" in TEXT
    assert "; 200 at\n  once" in TEXT
