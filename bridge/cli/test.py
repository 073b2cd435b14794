"""`relay-bridge test`: the routing file's own tests."""

import json
import sys
from pathlib import Path

import click

from bridge.cli.exits import FAILED
from bridge.cli.options import config_option, format_option
from bridge.config.loader import load
from bridge.config.problems import printable
from bridge.errors import ConfigError
from bridge.trial import Trial, run_cases


@click.command("test")
@config_option
@format_option
def command(config: Path, form: str) -> None:
    """Run the tests that the routing file holds. Exit 1 where one fails; nothing is sent.

    Signatures count as good in a test, unless it says `verified: false`.
    """
    loaded = load(config)
    if loaded.config is None:
        raise ConfigError(loaded.report())
    trials = run_cases(loaded.config)
    if form == "json":
        click.echo(json.dumps([as_json(trial) for trial in trials], indent=2))
    else:
        click.echo("\n".join(report(trials)))
    sys.exit(FAILED if failures(trials) else 0)


def failures(trials: list[Trial]) -> int:
    """How many tests failed."""
    return sum(bool(trial.complaints) for trial in trials)


def report(trials: list[Trial]) -> list[str]:
    """A line for each test, those under a failed one saying why, and the total."""
    lines = []
    for trial in trials:
        place = trial.case.place
        where = f" ({place.source.name}:{place.line})" if trial.complaints else ""
        lines.append(f"{'FAIL' if trial.complaints else 'ok  '} {trial.case.name}{where}")
        lines += [f"     {complaint}" for complaint in trial.complaints]
    failed = failures(trials)
    count = f"{len(trials)} test{'' if len(trials) == 1 else 's'}"
    total = f"{count}, {failed} failed" if trials else "the file has no tests"
    return [printable(line) for line in [*lines, total]]


def as_json(trial: Trial) -> dict[str, object]:
    """A test for machines."""
    place = trial.case.place
    return {
        "name": trial.case.name,
        "passed": not trial.complaints,
        "complaints": trial.complaints,
        "file": place.source.name,
        "line": place.line,
    }
