"""Options and habits that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click

from bridge.folders import routing_file

Decorated = Callable[..., Any]


def config_option(function: Decorated) -> Decorated:
    """`-c FILE`: the routing file."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        default=routing_file,
        show_default="$RELAY_BRIDGE_CONFIG, else /etc/relay-bridge/bridge.yaml",
        help="The routing file.",
    )(function)


def format_option(function: Decorated) -> Decorated:
    """`--format text|json`: for people or for machines."""
    choice = click.Choice(["text", "json"])
    return click.option("--format", "form", type=choice, default="text", help="How to print.")(function)


def use_colour(stream: TextIO) -> bool:
    """Colour only on a terminal, and never against NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
