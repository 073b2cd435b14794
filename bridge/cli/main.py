"""The command `relay-bridge`: its commands are imported when they are called, so that each starts fast."""

import sys
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from bridge.cli.exits import allow_any_text, tell
from bridge.errors import BridgeError
from bridge.version import __version__

COMMANDS = {
    "check": "Print every problem of the routing file.",
    "cleanup": "Clear what this bridge had its status broker retain.",
    "completion": "Print what makes a shell complete commands and options.",
    "dead": "List, show, retry or purge what could not be delivered.",
    "demo": "Run the whole chain on this machine, with sample webhooks.",
    "doctor": "Find what is wrong with this installation, and its remedy.",
    "explain": "Show what would become of a webhook.",
    "forward": "Forward one bucket to one target, with no file.",
    "init": "Write a first routing file, asking for what is needed, and try it.",
    "relay": "Run the self-hosted relay.",
    "reload": "Have the daemon read its routing file again.",
    "replay": "Have webhooks that came before taken again.",
    "run": "Run the daemon.",
    "schema": "Print the JSON Schema of the routing file, for editors.",
    "send": "Send a webhook, and show what becomes of it.",
    "status": "Show what the running daemon is doing.",
    "tail": "Show webhooks as they come, and what becomes of each.",
    "test": "Run the tests that the routing file holds.",
}
"""What each does; the command itself is `command` in `bridge.cli.<name>`."""


class LazyGroup(click.Group):
    """Imports a command's module only where the command is called, not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Every command's name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"bridge.cli.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, or the options."""
        found = [
            CompletionItem(name, help=text)
            for name, text in sorted(COMMANDS.items())
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # as above
        """The list of commands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=LazyGroup, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="relay-bridge")
def cli() -> None:
    """Webhooks from a public relay onto local MQTT topics and HTTP services, with no open port."""


def main(args: list[str] | None = None) -> Any:
    """Run the command line and exit. Errors are one clear line on stderr, never a traceback."""
    allow_any_text()
    try:
        return cli.main(args=args, prog_name="relay-bridge")
    except (BridgeError, OSError) as error:
        sys.exit(tell(error))
