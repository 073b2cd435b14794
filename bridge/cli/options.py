"""Options and habits that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click

from bridge.folders import routing_file


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`-c FILE`: the routing file."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        default=routing_file,
        show_default="$RELAY_BRIDGE_CONFIG, else /etc/relay-bridge/bridge.yaml",
        help="The routing file.",
    )(function)


def use_colour(stream: TextIO) -> bool:
    """Colour only on a terminal, and never against NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
