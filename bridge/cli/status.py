"""`relay-bridge status`: what the running daemon is doing."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import click

from bridge.cli.client import ask
from bridge.cli.exits import DaemonUnavailable
from bridge.cli.options import format_option
from bridge.cli.reload import place_and_message
from bridge.cli.screen import draw
from bridge.config.problems import printable

TROUBLES = ("rejected", "failed", "limited", "dead")
"""What a route counts that somebody should look at."""
SECONDS = 1.0
"""Between two looks."""


@click.command("status")
@click.option("--live", is_flag=True, help="Look again every second, until Ctrl-C.")
@format_option
def command(live: bool, form: str) -> None:
    """Show relay, routes, targets and counts of the running daemon.

    With --live a terminal shows it in place, also while the daemon restarts; elsewhere it is printed again
    and again, with --format json as a line each.
    """
    try:
        _show(ask("status"), form, live=live)
        while live:
            time.sleep(SECONDS)
            _look_again(form)
    except KeyboardInterrupt:
        return


def _look_again(form: str) -> None:
    try:
        _show(ask("status"), form, live=True)
    except DaemonUnavailable as error:
        if form == "json" or not sys.stdout.isatty():
            raise
        draw([printable(str(error))])


def _show(answer: dict[str, Any], form: str, *, live: bool) -> None:
    if form == "json":
        click.echo(json.dumps(answer, indent=None if live else 2))
        return
    lines = [printable(line) for line in describe(answer)]
    if live and sys.stdout.isatty():
        draw(lines)
    else:
        click.echo("\n".join([*lines, ""] if live else lines))


def describe(answer: dict[str, Any]) -> list[str]:
    """The status for people, line by line."""
    relay, config, counts = answer["relay"], answer["configuration"], answer["counters"]
    webhooks = _counted(counts, "unmatched", "rejected", "duplicates")
    return [
        f"relay-bridge {answer['version']} on {answer['node']}, up {_span(answer['uptime'])}",
        f"configuration  generation {config['generation']} is in use, last reload: {config['outcome']}",
        *(f"  {place_and_message(problem)}" for problem in config["problems"]),
        f"relay          {_relay(relay)}",
        f"gaps           {_gaps(answer['gaps'])}",
        f"webhooks       {counts['webhooks']} received, {webhooks}",
        f"journal        {_journal(answer['journal'])}",
        f"memory         {_memory(answer['process'])}",
        f"console        {answer['console']['url'] or answer['console']['problem'] or 'off'}",
        *_replies(answer["replies"]),
        *_routes(answer["routes"]),
        *_silences(answer["silences"]),
        *_targets(answer["targets"]),
    ]


def _counted(counts: dict[str, Any], *names: str) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in names)


def _relay(relay: dict[str, Any]) -> str:
    """The subscription, and what can't be read of it."""
    parts = [relay["state"] + _because(relay)]
    if relay.get("alarm"):
        parts.append("it keeps sending a message that can't be taken")
    if bad := sum(relay.get("bad_frames", {}).values()):
        parts.append(f"{bad} messages were not understood")
    return ", ".join(parts)


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
    damaged = f", {journal['corrupt']} rows were damaged" if journal["corrupt"] else ""
    return f"{share:.0%} of {mib:g} MiB, {journal['dead']} dead{damaged}{full}"


def _memory(process: dict[str, Any]) -> str:
    most = f"{process['max_rss_kib'] / 1024:.0f} MiB at most"
    return most if process["rss_kib"] is None else f"{process['rss_kib'] / 1024:.0f} MiB, {most}"


def _replies(replies: dict[str, int]) -> list[str]:
    counts = _counted(replies, "sent", "fallbacks", "late", "failed")
    return [f"replies        {counts}"] if any(replies.values()) else []


def _routes(routes: dict[str, dict[str, Any]]) -> list[str]:
    """Those that somebody should look at."""
    return [
        f"route {name}: {_counted(counts, 'matched', *TROUBLES)}" + _because({"reason": counts["rejection"]})
        for name, counts in routes.items()
        if any(counts[trouble] for trouble in TROUBLES)
    ]


def _silences(silences: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"route {name} is silent: no webhook since {_date(alarm['since'])}, one is expected every "
        f"{_span(alarm['every'])}"
        for name, alarm in silences.items()
    ]


def _targets(targets: dict[str, dict[str, Any]]) -> list[str]:
    width = max((len(name) for name in targets), default=0)
    return [line for name, target in targets.items() for line in _target(f"{name:<{width}}", target)]


def _target(name: str, target: dict[str, Any]) -> list[str]:
    counts = _counted(target, "delivered", "pending", "dead", "expired", "evicted")
    lines = [f"{name}  {target['state']}{_because(target)}: {counts}"]
    if target.get("unheard"):
        lines.append(f"  {target['unheard']} of them had no subscriber")
    if failure := target["last_failure"]:
        lines.append(f"  last failure {_date(failure['at'])}: {failure['reason']}")
    return lines


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
