"""`relay-bridge status`: what the running daemon is doing."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from bridge.cli.client import ask
from bridge.cli.options import format_option
from bridge.cli.reload import place_and_message
from bridge.config.problems import printable


@click.command("status")
@format_option
def command(form: str) -> None:
    """Show relay, targets and counts of the running daemon."""
    answer = ask("status")
    if form == "json":
        click.echo(json.dumps(answer, indent=2))
    else:
        click.echo("\n".join(printable(line) for line in describe(answer)))


def describe(answer: dict[str, Any]) -> list[str]:
    """The status for people, line by line."""
    relay, config, counts = answer["relay"], answer["configuration"], answer["counters"]
    webhooks = _counted(counts, "unmatched", "rejected", "duplicates")
    return [
        f"relay-bridge {answer['version']} on {answer['node']}, up {_span(answer['uptime'])}",
        f"configuration  generation {config['generation']} is in use, last reload: {config['outcome']}",
        *(f"  {place_and_message(problem)}" for problem in config["problems"]),
        f"relay          {relay['state']}{_because(relay)}",
        f"gaps           {_gaps(answer['gaps'])}",
        f"webhooks       {counts['webhooks']} received, {webhooks}",
        f"journal        {_journal(answer['journal'])}",
        *_replies(answer["replies"]),
        *_routes(answer["routes"]),
        *_silences(answer["silences"]),
        *_targets(answer["targets"]),
    ]


def _counted(counts: dict[str, Any], *names: str) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in names)


def _gaps(gaps: dict[str, Any]) -> str:
    """What gap filling does, and what came of the last gap."""
    parts = [gaps["name"] + _because(gaps)]
    if gaps["start"] is not None and gaps["end"] is not None:
        parts.append(
            f"{gaps['found']} missed webhooks found between {_date(gaps['start'])} and {_date(gaps['end'])}"
        )
    if gaps["unreadable"]:
        parts.append(f"{gaps['unreadable']} entries of the relay's log can't be used")
    if gaps["beyond"]:
        parts.append(f"{_span(gaps['beyond'])} before that can't be asked for")
    return ", ".join(parts)


def _journal(journal: dict[str, Any]) -> str:
    share, mib = journal["bytes"] / journal["max_bytes"], journal["max_bytes"] / (1 << 20)
    full = f", takes nothing more: {journal['full']}" if journal["full"] else ""
    return f"{share:.0%} of {mib:g} MiB, {journal['dead']} dead{full}"


def _replies(replies: dict[str, int]) -> list[str]:
    counts = _counted(replies, "sent", "fallbacks", "late", "failed")
    return [f"replies        {counts}"] if any(replies.values()) else []


def _routes(routes: dict[str, dict[str, Any]]) -> list[str]:
    """Those that somebody should look at."""
    return [
        f"route {name}: {_counted(counts, 'matched', 'rejected', 'failed', 'dead')}"
        + _because({"reason": counts["rejection"]})
        for name, counts in routes.items()
        if counts["rejected"] or counts["failed"] or counts["dead"]
    ]


def _silences(silences: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"route {name} is silent: no webhook since {_date(alarm['since'])}, one is expected every "
        f"{_span(alarm['every'])}"
        for name, alarm in silences.items()
    ]


def _targets(targets: dict[str, dict[str, Any]]) -> list[str]:
    width = max((len(name) for name in targets), default=0)
    names = ("delivered", "pending", "dead", "expired", "evicted")
    return [
        f"{name:<{width}}  {target['state']}{_because(target)}: {_counted(target, *names)}"
        for name, target in targets.items()
    ]


def _because(part: dict[str, Any]) -> str:
    return f" ({part['reason']})" if part.get("reason") else ""


def _span(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    clock = f"{hours:02}:{minutes:02}:{seconds:02}"
    return f"{days} d {clock}" if days else clock


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
