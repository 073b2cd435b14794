"""Options and habits that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click

from bridge.config.values import parse_duration
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


def duration(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """A span of time, such as 15s, as seconds: a callback of an option."""
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def wait_option(function: Decorated) -> Decorated:
    """`--wait DURATION`: how long to wait for what becomes of webhooks."""
    return click.option(
        "--wait",
        metavar="DURATION",
        default="10s",
        show_default=True,
        callback=duration,
        help="How long to wait for what becomes of it, at most 10m.",
    )(function)


def use_colour(stream: TextIO) -> bool:
    """Colour only on a terminal, and never against NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")
