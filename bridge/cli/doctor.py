"""`relay-bridge doctor`: what is wrong with this installation, and what to do about it."""

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from bridge.cli.client import DaemonRefused, ask
from bridge.cli.exits import FAILED, DaemonUnavailable
from bridge.cli.options import config_option, format_option, use_colour
from bridge.config.problems import printable
from bridge.doctor.finding import Finding, State
from bridge.folders import environment_of, state_of

MARKS: Final = {State.GOOD: "✓", State.BAD: "✗", State.SKIPPED: "\N{EN DASH}"}
COLOURS: Final = {State.GOOD: "green", State.BAD: "red", State.SKIPPED: None}


@click.command("doctor")
@config_option
@format_option
def command(config: Path, form: str) -> None:
    """Check relay, brokers, HTTP targets and this machine, and say how to mend what is wrong.

    Nothing is changed, and no subscriber gets anything. Exit 0, or 1 where something is wrong.
    """
    if form == "text" and sys.stderr.isatty():
        click.echo("looking at relay, brokers, services and this machine …", err=True)
    from bridge.doctor.examination import Patient, examine  # heavy, and `--help` is fast

    patient = Patient(config, state_of(config), _status(), environment_of(config))
    findings = asyncio.run(examine(patient))
    wrong = [one for one in findings if one.state is State.BAD]
    if form == "json":
        click.echo(json.dumps({"ok": not wrong, "findings": [as_json(one) for one in findings]}, indent=2))
    else:
        click.echo("\n".join(lines(findings, colour=use_colour(sys.stdout))))
    sys.exit(FAILED if wrong else 0)


def _status() -> dict[str, Any] | None:
    try:
        return ask("status")
    except (DaemonUnavailable, DaemonRefused):
        return None


def as_json(finding: Finding) -> dict[str, str]:
    """A finding for machines."""
    return {
        "check": finding.check.label,
        "state": finding.state.value,
        "subject": finding.subject,
        "detail": finding.detail,
        "remedy": finding.remedy,
    }


def lines(findings: Iterable[Finding], *, colour: bool) -> Iterator[str]:
    """Findings for people. Peers' text in them can't steer a terminal."""
    wrong = 0
    for one in findings:
        mark = click.style(MARKS[one.state], fg=COLOURS[one.state]) if colour else MARKS[one.state]
        detail = f": {one.detail}" if one.detail else ""
        yield f"{mark} {one.check.label:<18}  {printable(one.subject + detail)}"
        if one.remedy:
            wrong += 1
            yield f"    → {printable(one.remedy)}"
    yield "nothing is wrong" if not wrong else f"{wrong} to mend"
