"""`relay-bridge check`: every problem of a routing file."""

import json
import sys
from pathlib import Path

import click

from bridge.cli.options import config_option, use_colour
from bridge.config.loader import load

EXIT_CONFIGURATION = 78


@click.command("check")
@config_option
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")
def command(config: Path, form: str) -> None:
    """Print every problem of the routing file, then a total. Exit 0, or 78 where it can't be used."""
    loaded = load(config)
    if form == "json":
        answer = {"ok": loaded.config is not None, "problems": [p.as_json() for p in loaded.problems]}
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        for problem in loaded.problems:
            click.echo(problem.render(colour=use_colour(sys.stdout)))
        click.echo(loaded.summary)
    sys.exit(0 if loaded.config is not None else EXIT_CONFIGURATION)
