"""The command `relay-bridge`: its commands are imported when they are called, so that each starts fast."""

import sys
from importlib import import_module
from typing import Any

import click

from bridge.errors import BridgeError, ConfigError, CredentialsRefused, JournalBusy, RelayError
from bridge.version import __version__

COMMANDS = {
    "check": "bridge.cli.check",
    "demo": "bridge.cli.demo",
    "explain": "bridge.cli.explain",
    "forward": "bridge.cli.forward",
    "relay": "bridge.cli.relay",
    "reload": "bridge.cli.reload",
    "run": "bridge.cli.run",
    "status": "bridge.cli.status",
}

# Exit statuses after sysexits.h, which systemd and scripts know.
FAILED = 1
UNAVAILABLE = 69
OTHER_INSTANCE = 75
REFUSED = 77
CONFIGURATION = 78


class LazyGroup(click.Group):
    """Looks a command up in `COMMANDS` and imports its module's `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Every command's name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        """The command of this name."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(module).command
        return command


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=LazyGroup, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="relay-bridge")
def cli() -> None:
    """Webhooks from a public relay onto local MQTT topics and HTTP services, with no open port."""


def exit_status(error: BridgeError) -> int:
    """The exit status that says whose fault an error is."""
    match error:
        case JournalBusy():
            return OTHER_INSTANCE
        case CredentialsRefused():
            return REFUSED
        case ConfigError():
            return CONFIGURATION
        case RelayError():
            return UNAVAILABLE
        case _:
            return FAILED


def main(args: list[str] | None = None) -> Any:
    """Run the command line and exit. Errors are one clear line on stderr, never a traceback."""
    try:
        return cli.main(args=args, prog_name="relay-bridge")
    except BridgeError as error:
        click.echo(f"relay-bridge: {error}", err=True)
        sys.exit(exit_status(error))
