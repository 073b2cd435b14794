"""`relay-bridge completion`: what makes a shell complete commands and options."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "fish": FishComplete, "zsh": ZshComplete}
VARIABLE = "_RELAY_BRIDGE_COMPLETE"
"""What click makes of the program's name; the script sets it, and the program then answers the script."""


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands and options at a press of Tab.

    Save it where SHELL looks for such scripts, as relay-bridge for bash, relay-bridge.fish or
    _relay-bridge for zsh.
    """
    script = SHELLS[shell](context.find_root().command, {}, "relay-bridge", VARIABLE)
    click.echo(script.source())
