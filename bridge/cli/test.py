"""`relay-bridge test`: the routing file's own tests."""

import json
import sys
from pathlib import Path

import click

from bridge.cli.exits import FAILED
from bridge.cli.options import config_option, format_option
from bridge.errors import ConfigError


@click.command("test")
@config_option
@format_option
def command(config: Path, form: str) -> None:
    """Run the tests that the routing file holds. Exit 1 where one fails; nothing is sent.

    Signatures count as good in a test, unless it says `verified: false`.
    """
    from bridge.cli.trials import as_json, failures, report
    from bridge.config.loader import load
    from bridge.trial import run_cases

    loaded = load(config)
    if loaded.config is None:
        raise ConfigError(loaded.report())
    trials = run_cases(loaded.config)
    if form == "json":
        click.echo(json.dumps([as_json(trial) for trial in trials], indent=2))
    else:
        click.echo("\n".join(report(trials)))
    sys.exit(FAILED if failures(trials) else 0)
