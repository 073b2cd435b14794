"""`relay-bridge tail`: webhooks as they come, and what becomes of each."""

import json
import sys
from contextlib import closing
from typing import Any

import click

from bridge.cli.client import listen
from bridge.cli.lines import webhook_lines
from bridge.cli.options import format_option, use_colour

MOST_PAST = 200
"""That the daemon remembers."""
OUTCOMES = (
    "delivered",
    "retrying",
    "pending",
    "dead",
    "expired",
    "evicted",
    "duplicate",
    "unmatched",
    "rejected",
)


@click.command("tail")
@click.option("--bucket", help="Of this bucket only.")
@click.option("--route", help="That this route took, or refused.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Of which this became.")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(0, MOST_PAST),
    default=0,
    help="How many that came before are shown first.",
)
@format_option
def command(number: int, form: str, **wanted: str | None) -> None:
    """Show webhooks as they come: route, outcome and latency, until Ctrl-C.

    A webhook has its line when it is delivered, dead or not wanted, and one before where it is held up.
    The number in front is what `replay` takes. With --format json each line is an object.
    """
    request = {name: value for name, value in wanted.items() if value is not None}
    try:
        with closing(listen("tail", request | {"past": number})) as told:
            for one in told:
                show(one, form)
    except KeyboardInterrupt:
        return


def show(told: dict[str, Any], form: str) -> None:
    """Print what the daemon told."""
    if form == "json":
        click.echo(json.dumps(told))
    elif "missed" in told:
        click.echo(f"({told['missed']} changes came too fast to be shown)", err=True)
    else:
        for line in webhook_lines(told, colour=use_colour(sys.stdout)):
            click.echo(line)
