"""`relay-bridge check`: every problem of a routing file."""

import json
import sys
from pathlib import Path

import click

from bridge.cli.exits import CONFIGURATION, FAILED
from bridge.cli.options import config_option, format_option, use_colour


@click.command("check")
@config_option
@format_option
@click.option("--tests", is_flag=True, help="Run the file's own tests, too; exit 1 where one fails.")
def command(config: Path, form: str, tests: bool) -> None:
    """Print every problem of the routing file, then a total. Exit 0, or 78 where it can't be used."""
    from bridge.cli.trials import as_json, failures, report
    from bridge.config.loader import load
    from bridge.trial import run_cases

    loaded = load(config)
    trials = run_cases(loaded.config) if tests and loaded.config else []
    if form == "json":
        answer = {"ok": loaded.config is not None, "problems": [p.as_json() for p in loaded.problems]}
        if tests:
            answer["tests"] = [as_json(trial) for trial in trials]
        click.echo(json.dumps(answer, indent=2))
    else:
        for problem in loaded.problems:
            click.echo(problem.render(colour=use_colour(sys.stdout)))
        click.echo(loaded.summary)
        if tests and loaded.config:
            click.echo("\n".join(report(trials)))
    if loaded.config is None:
        sys.exit(CONFIGURATION)
    sys.exit(FAILED if failures(trials) else 0)
