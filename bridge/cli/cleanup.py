"""`relay-bridge cleanup`: nothing of this bridge stays behind at the broker."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.exits import UNAVAILABLE
from bridge.cli.options import config_option
from bridge.config.problems import printable
from bridge.errors import ConfigError

if TYPE_CHECKING:  # it is heavy
    from bridge.home.place import Place

WAIT_SECONDS = 10.0


@click.command("cleanup")
@config_option
def command(config: Path) -> None:
    """Clear all that this bridge had its status broker retain, Home Assistant's entities included.

    The routing file says which broker and which topics; the daemon need not run.
    """
    from bridge.home.cleanup import BrokerUnavailable, clean_up

    place = _place(config)
    try:
        cleaned = asyncio.run(clean_up(place, WAIT_SECONDS))
    except BrokerUnavailable as error:
        click.echo(f"relay-bridge: {printable(str(error))}", err=True)
        sys.exit(UNAVAILABLE)
    for topic in cleaned.topics:
        click.echo(printable(topic))
    count = len(cleaned.topics)
    click.echo(f"{count} retained topic{'s' * (count != 1)} cleared at {place.address}", err=True)
    if cleaned.runs:
        click.echo("the bridge still runs, and will publish again: stop it first", err=True)


def _place(config: Path) -> "Place":
    from bridge.config.loader import load
    from bridge.home.place import place_of

    loaded = load(config)
    if loaded.config is None:
        raise ConfigError(loaded.report())
    place = place_of(loaded.config)
    if place is None:
        raise ConfigError(f"{config} has no `status`, which names the broker")
    return place
