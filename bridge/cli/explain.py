"""`relay-bridge explain`: what a routing file does with one webhook, without doing it."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from bridge.cli.options import config_option
from bridge.config.loader import load
from bridge.config.problems import printable
from bridge.errors import ConfigError, FrameError
from bridge.message import HttpRequest, Message
from bridge.relay.frames import decode_frame
from bridge.routing.table import Plan, RouteTrace
from bridge.webhook import Webhook

SHOWN = 200


@click.command("explain")
@config_option
@click.argument("webhook", type=click.File("rb"))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")
def command(config: Path, webhook: Any, form: str) -> None:
    """Show what would become of WEBHOOK, a file with one webhook frame as the relay sends it, or -.

    For each route: whether it matches, else the condition that failed and the value it saw; and what
    would be sent. Nothing is sent.
    """
    loaded = load(config)
    if loaded.config is None:
        raise ConfigError(loaded.report())
    frame = _frame(webhook.read())
    traces = loaded.config.table.explain(frame)
    if form == "json":
        click.echo(json.dumps([_as_json(trace, frame) for trace in traces], indent=2, ensure_ascii=False))
    else:
        for trace in traces:
            click.echo("\n".join(_lines(trace, frame)))


def _frame(data: bytes) -> Webhook:
    try:
        frame = decode_frame(data.decode("utf-8", "replace"), time.time())
    except FrameError as error:
        click.echo(f"relay-bridge: this is not a webhook frame: {error}", err=True)
        sys.exit(1)
    if not isinstance(frame, Webhook):
        click.echo('relay-bridge: this frame is no webhook ("type": "webhook" is expected)', err=True)
        sys.exit(1)
    return frame


def _lines(trace: RouteTrace, webhook: Webhook) -> list[str]:
    lines = [f"{trace.route}: {trace.verdict.value}{_why(trace)}"]
    for plan in trace.plans:
        lines += [f"  {line}" for line in _plan_lines(plan, webhook)]
    return lines


def _why(trace: RouteTrace) -> str:
    if trace.error is not None:
        return f": {printable(str(trace.error))}"
    if trace.mismatch is None:
        return ""
    failed = trace.mismatch
    seen = ", ".join(repr(value) for value in failed.seen) if failed.seen else "nothing"
    wanted = f"{failed.source} {failed.operator} {failed.expected!r}"
    return f": {printable(wanted)} - saw {printable(seen)[:SHOWN]}"


def _plan_lines(plan: Plan, webhook: Webhook) -> list[str]:
    if plan.message is None:
        return [f"dead letter: {printable(str(plan.error))}"]
    payload = _payload(plan.message, webhook)
    text = printable(payload[:SHOWN].decode("utf-8", "replace"))
    more = f"… ({len(payload)} bytes)" if len(payload) > SHOWN else ""
    message = plan.message
    if isinstance(message, HttpRequest):
        head = f"{message.method} {printable(message.url)}"
        headers = [f"  {name}: {printable(value)}" for name, value in message.headers]
        return [f"{plan.target} <- {head}", *headers, f"  {text}{more}"]
    flags = f"qos {message.qos}{', retained' if message.retain else ''}"
    return [f"{plan.target} <- {printable(message.topic)} ({flags})", f"  {text}{more}"]


def _payload(message: Message, webhook: Webhook) -> bytes:
    own = message.body if isinstance(message, HttpRequest) else message.payload
    return webhook.raw if own is None else own


def _as_json(trace: RouteTrace, webhook: Webhook) -> dict[str, object]:
    mismatch = trace.mismatch
    return {
        "route": trace.route,
        "verdict": trace.verdict.value,
        "error": None if trace.error is None else str(trace.error),
        "mismatch": None
        if mismatch is None
        else {
            "source": mismatch.source,
            "operator": mismatch.operator,
            "expected": _plain(mismatch.expected),
            "seen": _plain(mismatch.seen),
        },
        "sends": [_plan_json(plan, webhook) for plan in trace.plans],
    }


def _plan_json(plan: Plan, webhook: Webhook) -> dict[str, object]:
    message = plan.message
    if message is None:
        return {"target": plan.target, "error": str(plan.error)}
    shown: dict[str, object] = {"target": plan.target, "order_key": plan.order_key}
    if isinstance(message, HttpRequest):
        shown |= {"http": message.url, "method": message.method, "headers": dict(message.headers)}
    else:
        shown |= {"mqtt": message.topic, "qos": message.qos, "retain": message.retain}
        shown |= {"content_type": message.content_type}
    return shown | {"payload": _payload(message, webhook).decode("utf-8", "replace")}


def _plain(value: object) -> object:
    """A value of a condition as JSON can say it."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
    return value
