"""A webhook and what became of it, for people: one line, and one more for each delivery that needs a look."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import click

from bridge.cli.options import use_colour
from bridge.config.problems import printable

WELL: Final = frozenset({"delivered", "matched", "duplicate"})
COLOURS: Final = {
    "delivered": "green",
    "dead": "red",
    "evicted": "red",
    "expired": "red",
    "rejected": "red",
    "retrying": "yellow",
    "unmatched": "yellow",
}


def show(told: dict[str, Any], form: str) -> None:
    """Print one webhook on stdout, as the daemon told of it."""
    if form == "json":
        click.echo(json.dumps(told))
    else:
        click.echo("\n".join(webhook_lines(told, colour=use_colour(sys.stdout))))


def webhook_lines(told: dict[str, Any], *, colour: bool) -> Iterator[str]:
    """Lines for a terminal: nothing in them can steer it."""
    yield _headline(told, colour=colour)
    for rejected in told["rejected"]:
        yield "    " + printable(f"{rejected['route']}: {rejected['code']}, {rejected['reason']}")
    for delivery in told["deliveries"]:
        if delivery["outcome"] not in WELL:
            yield f"    {_delivery(delivery)}"


def is_well(told: dict[str, Any]) -> bool:
    """Whether everything that was to be done for a webhook is done, and something was."""
    return told["outcome"] in WELL


def _headline(told: dict[str, Any], *, colour: bool) -> str:
    at = datetime.fromtimestamp(told["received_at"], UTC).strftime("%H:%M:%SZ")
    way = ", ".join(told["routes"]) or "-"
    origin = "" if told["from"] == "relay" else f" ({told['from']})"
    what = printable(f"{told['bucket']} {told['method']} {told['path']}{origin} -> {way}")
    outcome = printable(told["outcome"])
    shown = click.style(outcome, fg=COLOURS.get(told["outcome"])) if colour else outcome
    return f"{at}  {told['number']:>5}  {what}  {shown}{_took(told['latency'])}"


def _took(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f" in {seconds * 1000:.1f} ms" if seconds < 1 else f" in {seconds:.1f} s"


def _delivery(delivery: dict[str, Any]) -> str:
    attempts = f" after {delivery['attempts']} attempts" if delivery["attempts"] > 1 else ""
    reason = f": {delivery['reason']}" if delivery["reason"] else ""
    place = f"{delivery['route']} -> {delivery['target']} {delivery['where']}"
    return printable(f"{place} {delivery['outcome']}{attempts}{reason}")
