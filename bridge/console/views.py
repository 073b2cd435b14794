"""Webhooks as the page shows them: bounded, and with what they hold only where the user wants it seen.

All of it is text of strangers: the page puts it nowhere but in text nodes.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import orjson

from bridge.config.model import Config
from bridge.console.queues import oldest
from bridge.console.watched import Watched
from bridge.passages import Leg, Passage
from bridge.preview import Sending, Step, dry_run, shown
from bridge.routing.match import Mismatch
from bridge.status import snapshot

LONGEST: Final = 300
"""Characters of a text."""
MOST_LEGS: Final = 20
"""Deliveries of one webhook that are shown."""
BODY: Final = 64 * 1024
"""Bytes of a body."""
HIDDEN: Final = "(hidden: `bodies` is off)"
PLAIN: Final = frozenset({"bucket", "input", "output", "method", "path", "content_type"})
"""What conditions compare that is shown in any case; the rest is a header, the query or the body."""


def status_view(daemon: Watched) -> dict[str, Any]:
    """The status, but for what changes by itself, and for lines of the routing file."""
    status = snapshot(daemon)
    del status["uptime"], status["process"]
    configuration: Any = status["configuration"]
    configuration["problems"] = [problem | {"source": ""} for problem in configuration["problems"]]
    ages = oldest(daemon)
    targets: Any = status["targets"]
    for name, target in targets.items():
        # A whole number changes once a second, and then only where something waits.
        target["oldest"] = int(ages[name]) if name in ages else None
    status["routes_configured"] = [route.name for route in daemon.config.table.routes if route.enabled]
    status["clock_synchronised"] = daemon.clock_sync.clock().synchronised
    return status


def passage_view(passage: Passage) -> dict[str, Any]:
    """One line of the list of webhooks."""
    facts, legs = passage.facts, passage.legs
    refused = (name for name, _ in passage.routed.rejected)
    return {
        "number": passage.number,
        "at": facts["received_at"],
        "bucket": short(facts["bucket"]),
        "method": short(facts["method"]),
        "path": short(facts["path"]),
        "late": facts["late"],
        "routes": [*passage.routes, *refused][:MOST_LEGS],
        "outcome": passage.outcome,
        "latency": passage.latency,
        "retries": sum(map(_retries, legs)),
    }


def way_view(passage: Passage, config: Config, *, bodies: bool) -> dict[str, Any]:
    """One webhook's way: what became of it, and what each route says of it now."""
    way = passage_view(passage) | {
        "id": short(passage.id),
        "input": short(passage.facts["input"]),
        "legs": [_leg_view(leg) for leg in passage.legs[:MOST_LEGS]],
        "rejected": [f"{name}: {said.code}, {said.reason}" for name, said in passage.routed.rejected],
    }
    webhook = passage.webhook
    if webhook is None:
        return way | {"kept": False}
    steps = [_step_view(step, bodies=bodies) for step in dry_run(config, webhook)]
    webhook.forget()
    way |= {"kept": True, "steps": steps, "bytes": len(webhook.raw)}
    way["content_type"] = short(webhook.content_type)
    if bodies:
        way["body"] = webhook.raw[:BODY].decode("utf-8", "replace")
    return way


def as_json(value: object) -> bytes:
    """A view as JSON. A webhook's text may hold half a character pair, which UTF-8 can't say."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def short(text: str) -> str:
    """A text that is not too long to be shown."""
    return f"{text[:LONGEST]}…" if len(text) > LONGEST else text


def _retries(leg: Leg) -> int:
    """How often it was tried again after an answer of the target, or the lack of one."""
    return leg.attempts - (leg.outcome == "delivered")


def _leg_view(leg: Leg) -> dict[str, object]:
    return {
        "route": leg.route,
        "target": leg.target,
        "where": short(leg.where.partition("?")[0]),
        "outcome": leg.outcome,
        "retries": _retries(leg),
        "reason": short(leg.reason),
    }


def _step_view(step: Step, *, bodies: bool) -> dict[str, object]:
    trace = step.trace
    open_to_all = bodies or trace.mismatch is None or trace.mismatch.source in PLAIN
    return {
        "route": trace.route,
        "verdict": trace.verdict.value,
        "why": short(step.why if open_to_all or trace.mismatch is None else _veiled(trace.mismatch)),
        "sends": [_sending_view(sending, bodies=bodies) for sending in step.sendings[:MOST_LEGS]],
    }


def _veiled(mismatch: Mismatch) -> str:
    """As `Step.why`, without what the condition saw."""
    return f"{mismatch.source} {mismatch.operator} {shown(mismatch.expected)} - saw {HIDDEN}"


def _sending_view(sending: Sending, *, bodies: bool) -> Mapping[str, object]:
    if not sending.facts:
        return {"address": short(sending.address), "payload": ""}
    kind = "http" if "http" in sending.facts else "mqtt"
    place = str(sending.facts[kind]).partition("?")[0] if kind == "http" else sending.facts[kind]
    method = f"{sending.facts['method']} " if kind == "http" else ""
    return {
        "address": short(f"{sending.plan.target} ← {method}{place}"),
        "payload": sending.text if bodies else HIDDEN,
    }
