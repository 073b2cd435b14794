"""`relay-bridge status`: what the running daemon is doing."""

import json
from typing import Any

import click

from bridge.cli.client import ask


@click.command("status")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")
def command(form: str) -> None:
    """Show relay, targets and counts of the running daemon."""
    answer = ask("status")
    click.echo(json.dumps(answer, indent=2) if form == "json" else "\n".join(describe(answer)))


def describe(answer: dict[str, Any]) -> list[str]:
    """The status for people, line by line."""
    relay, config, counts = answer["relay"], answer["configuration"], answer["counters"]
    lines = [
        f"relay-bridge {answer['version']} on {answer['node']}, up {_span(answer['uptime'])}",
        f"configuration  generation {config['generation']}, last reload: {config['outcome']}",
        f"relay          {relay['state']}{_because(relay)}",
        f"webhooks       {counts['webhooks']} received, {counts['unmatched']} unmatched",
    ]
    width = max((len(name) for name in answer["targets"]), default=0)
    for name, target in answer["targets"].items():
        lines.append(
            f"{name:<{width}}  {target['state']}{_because(target)}: {target['delivered']} delivered, "
            f"{target['pending']} pending, {target['dead']} dead, {target['expired']} expired"
        )
    return lines


def _because(part: dict[str, Any]) -> str:
    return f" ({part['reason']})" if part.get("reason") else ""


def _span(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    clock = f"{hours:02}:{minutes:02}:{int(seconds):02}"
    return f"{days} d {clock}" if days else clock
