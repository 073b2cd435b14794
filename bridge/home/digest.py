"""Webhooks, dead letters and alarms in a few words, as JSON for subscribers. Pure.

What senders wrote is in it: bounded, and without control characters. No header's value, no query, no path
and no body is, as these can hold secrets; but the name of the event, where a provider's header says it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bridge.passages import Passage
from bridge.silence import Alarm

EVENT_HEADERS: Final = (
    "x-github-event",
    "x-gitlab-event",
    "x-gitea-event",
    "x-forgejo-event",
    "x-gogs-event",
    "x-event-key",  # Bitbucket
    "x-shopify-topic",
    "x-wc-webhook-topic",  # WooCommerce
    "ce-type",  # CloudEvents, HTTP protocol binding 1.0, section 3.1.3
)
"""Where providers say what happened, by lower-case name."""
PLAIN: Final = "webhook"
"""The event type where nothing says it."""
LONGEST: Final = 200
"""Characters of a text."""

_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def event_type(passage: Passage) -> str:
    """What happened, in the provider's own word where a header has it."""
    webhook = passage.webhook
    if webhook is not None:
        for name in EVENT_HEADERS:
            said = clean(webhook.header(name) or "")
            if said:
                return said
    return PLAIN


def event(passage: Passage, route: str) -> dict[str, Any]:
    """A webhook that a route took."""
    facts = passage.facts
    return {
        "event_type": event_type(passage),
        "id": clean(facts["id"]),
        "time": moment(facts["received_at"]),
        "route": route,
        "bucket": clean(facts["bucket"]),
        "input": clean(facts["input"]),
        "method": clean(facts["method"]),
        "late": facts["late"],
    }


def dead(letter: Mapping[str, Any]) -> dict[str, Any]:
    """A dead letter, of the listing's fields those that say what to do."""
    return {
        "id": letter["id"],
        "time": moment(letter["at"]),
        "route": letter["route"],
        "target": clean(letter["target"]),
        "code": clean(letter["code"]),
        "reason": clean(letter["reason"]),
    }


def alert(alarm: Alarm, *, begins: bool) -> dict[str, Any]:
    """A route that fell silent, or is heard again."""
    return {
        "alert": "silence",
        "state": "on" if begins else "off",
        "route": alarm.route,
        "silent_since": moment(alarm.since),
        "every_seconds": alarm.every,
        "grace_seconds": alarm.grace,
    }


def clean(text: str) -> str:
    """A stranger's text, fit to be shown."""
    return _UNFIT.sub(" ", text[:LONGEST]).strip()


def moment(at: float) -> str:
    """A Unix time as ISO 8601 in UTC, which Home Assistant and people read."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def packed(said: Mapping[str, Any]) -> bytes:
    """JSON, on one line."""
    return orjson.dumps(said)
