"""`relay-bridge replay`: webhooks that came before are taken again."""

import sys
from typing import Any

import click

from bridge.cli.client import ask
from bridge.cli.exits import FAILED
from bridge.cli.lines import is_well, show
from bridge.cli.options import duration, format_option, wait_option

DAEMON_SECONDS = 10.0
RELAY_SECONDS = 120.0
"""For the relay to tell what its log holds."""
MOST = 200
"""That the daemon remembers, and takes at once."""
HIGHEST = 1 << 63


@click.command("replay")
@click.argument("which", metavar="[NUMBER | ID]...", nargs=-1)
@click.option("--last", type=click.IntRange(1, MOST), help="So many that came last.")
@click.option("--since", metavar="DURATION", callback=duration, help="Those that came within it, such as 1h.")
@click.option("--from-relay", is_flag=True, help="From the relay's log: webhooks with an ID, or --since.")
@wait_option
@format_option
def command(
    which: tuple[str, ...], last: int | None, since: float | None, from_relay: bool, wait: float, form: str
) -> None:
    """Have the daemon take webhooks again by today's routes, and print what becomes of each.

    NUMBER is what `tail` shows in front of a webhook: the daemon remembers the last 200, while their bodies
    are not over 2 MiB together. Older ones are in the relay's log, by the ID that `tail --format json`
    shows.

    They are no repeats and never too old, but a signature still has to fit. Nobody's answer is waited for.
    Exit 1 where one is not delivered.
    """
    if from_relay:
        answer = ask("replay-log", _logged(which, last, since) | {"wait": wait}, timeout=wait + RELAY_SECONDS)
    else:
        answer = ask("replay", _kept(which, last, since) | {"wait": wait}, timeout=wait + DAEMON_SECONDS)
    told = answer["webhooks"]
    for one in told:
        show(one, form)
    click.echo(f"{len(told)} webhook{'s' * (len(told) != 1)} replayed", err=True)
    sys.exit(0 if all(map(is_well, told)) else FAILED)


def _kept(which: tuple[str, ...], last: int | None, since: float | None) -> dict[str, Any]:
    """Those that the daemon remembers."""
    span = {name: value for name, value in (("last", last), ("since", since)) if value is not None}
    if bool(which) == bool(span):
        raise click.UsageError("say which: numbers, or --last, --since or both")
    return span or {"numbers": [_number(one) for one in which]}


def _logged(which: tuple[str, ...], last: int | None, since: float | None) -> dict[str, Any]:
    """Those that the relay's log holds."""
    if last is not None or bool(which) == (since is not None):
        raise click.UsageError("say which of the relay's log: IDs, or --since")
    return {"ids": which} if which else {"since": since}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) < HIGHEST):
        raise click.BadParameter(f"{text!r} is no number of a webhook; for an ID say --from-relay")
    return int(text)
