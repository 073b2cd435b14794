"""`relay-bridge tail`: webhooks as they come, and what becomes of each."""

from contextlib import closing
from typing import Any

import click

from bridge.cli.client import listen
from bridge.cli.lines import show
from bridge.cli.options import format_option

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
                _show(one, form)
    except KeyboardInterrupt:
        return


def _show(told: dict[str, Any], form: str) -> None:
    if "missed" in told and form != "json":
        click.echo(f"({told['missed']} changes came too fast to be shown)", err=True)
    else:
        show(told, form)
