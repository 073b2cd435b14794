"""How the bridge is, in a few words, made of its status. Pure."""

from collections.abc import Mapping
from typing import Any

from bridge.home.digest import clean, moment

Snapshot = Mapping[str, Any]
"""What `bridge.status.snapshot` says."""

_WELL = {"up", "connecting"}
_SUBSCRIBES = {"subscribed", "connecting", "closed"}
"""What the relay's client does where nothing is wrong: at last, the bridge is stopping."""
_COUNTS = ("delivered", "dead", "expired", "evicted")


def info(status: Snapshot, routes: list[str]) -> dict[str, Any]:
    """What runs here; it changes with a reload only."""
    return {
        "version": status["version"],
        "node": status["node"],
        "started": moment(status["started_at"]),
        "generation": status["configuration"]["generation"],
        "routes": routes,
    }


def health(status: Snapshot, last_webhook: float | None) -> dict[str, Any]:
    """How it is now.

    Args:
        status: the daemon's.
        last_webhook: Unix time of the newest webhook, where there was one since the start.
    """
    targets, counters = status["targets"], status["counters"]
    problems = _problems(status)
    connected = status["relay"]["state"] == "subscribed"
    return {
        "problem": bool(problems),
        "problems": problems,
        "relay": {
            "connected": connected,
            "state": status["relay"]["state"],
            "reason": "" if connected else clean(status["relay"].get("reason") or ""),
        },
        "brokers": _named(targets, "mqtt:"),
        "services": _named(targets, "http:"),
        "queue": {
            "pending": sum(target["pending"] for target in targets.values()),
            "journal_bytes": status["journal"]["bytes"],
        },
        "counters": {**counters, **{name: _total(targets, name) for name in _COUNTS}},
        "last_webhook": None if last_webhook is None else moment(last_webhook),
        "configuration": {
            "outcome": status["configuration"]["outcome"],
            "generation": status["configuration"]["generation"],
            "fingerprint": status["configuration"]["fingerprint"][:12],
        },
        "process": {"uptime_seconds": int(status["uptime"]), **status["process"]},
    }


def _named(targets: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The targets of one kind, by their names alone."""
    return {
        name.removeprefix(kind): {
            "state": target["state"],
            "reason": clean(target["reason"]),
            "pending": target["pending"],
            **({"no_subscriber": target["unheard"]} if "unheard" in target else {}),
        }
        for name, target in targets.items()
        if name.startswith(kind)
    }


def _total(targets: Mapping[str, Any], count: str) -> int:
    return sum(target[count] for target in targets.values())


def _problems(status: Snapshot) -> list[str]:
    """What a person should look at, each in a line."""
    problems = []
    relay = status["relay"]
    if relay["state"] not in _SUBSCRIBES:
        problems.append(_line("the relay", relay["state"], relay.get("reason") or ""))
    for name, target in status["targets"].items():
        configured = target["since"] is not None
        if configured and target["state"] not in _WELL:
            problems.append(_line(name, target["state"], target["reason"]))
    problems += [f"route {route} is silent" for route in status["silences"]]
    if status["configuration"]["outcome"] == "rejected":
        problems.append("the routing file was rejected")
    if status["journal"]["full"]:
        problems.append(f"the journal is full: {clean(str(status['journal']['full']))}")
    return problems


def _line(name: str, state: str, reason: str) -> str:
    return clean(f"{name} is {state}: {reason}" if reason else f"{name} is {state}")
