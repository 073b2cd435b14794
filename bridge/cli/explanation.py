"""What a routing file does with webhooks, shown without doing it."""

import json
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import orjson

from bridge.cli.comparison import differences, kept_webhooks
from bridge.cli.sendings import response_json, response_lines, sending_json, sending_lines
from bridge.cli.webhook_file import read_webhook
from bridge.config.loader import load
from bridge.config.model import Config
from bridge.config.problems import printable
from bridge.errors import ConfigError
from bridge.preview import Step, dry_run, shown, trusting
from bridge.routing.rate import Excess

EXCESS: Final = {Excess.WAIT: "more have to wait", Excess.DEAD: "more are dead letters"}


def config_of(path: Path) -> Config:
    """The configuration that a routing file holds.

    Raises:
        ConfigError: it can't be used.
    """
    loaded = load(path)
    if loaded.config is None:
        raise ConfigError(loaded.report())
    return loaded.config


def compare(old: Config, new: Config, form: str) -> None:
    """Print which webhooks that the running daemon keeps would go elsewhere."""
    count = 0
    for changes in differences(old, new, kept_webhooks()):
        count += 1
        click.echo(json.dumps(changes.as_json()) if form == "json" else changes.text())
    click.echo(f"{count} kept webhook{'s' * (count != 1)} would go elsewhere", err=True)


def explain(config: Config, webhook: BinaryIO, form: str) -> None:
    """Print what would become of one webhook."""
    found, verified = read_webhook(webhook.read(), getattr(webhook, "name", "-"))
    steps = dry_run(trusting(config) if verified else config, found)
    if form == "json":
        click.echo(json.dumps([_as_json(step) for step in steps], indent=2))
    else:
        click.echo("\n".join(printable(line) for step in steps for line in _lines(step)))


def _lines(step: Step) -> list[str]:
    why = f": {step.why}" if step.why else ""
    lines = [f"{step.trace.route}: {step.trace.verdict.value}{why}"]
    for sending in step.sendings:
        lines += [f"  {line}" for line in sending_lines(sending)]
    if step.rate is not None:
        lines.append(f"  rate: {step.rate}; {EXCESS[step.rate.excess]}")
    if step.response is not None:
        lines += [f"  {line}" for line in response_lines(step.response)]
    return lines


def _as_json(step: Step) -> dict[str, object]:
    trace, failed = step.trace, step.trace.mismatch
    mismatch = failed and {
        "source": failed.source,
        "operator": failed.operator,
        "expected": _plain(failed.expected),
        "seen": _plain(failed.seen),
    }
    return {
        "route": trace.route,
        "verdict": trace.verdict.value,
        "error": None if trace.error is None else str(trace.error),
        "rejection": trace.rejection and {"code": trace.rejection.code, "reason": trace.rejection.reason},
        "mismatch": mismatch,
        "sends": [sending_json(sending) for sending in step.sendings],
        "rate": step.rate and str(step.rate),
        "reply": step.response and response_json(step.response),
    }


def _plain(value: object) -> Any:
    """A value of a condition as JSON can say it."""
    try:
        return orjson.loads(orjson.dumps(value))
    except TypeError:  # a number that JSON doesn't know, or a body that nests too deeply
        return shown(value)
