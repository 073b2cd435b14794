"""The daemon's state as one mapping, for the `status` command and everything else that shows it."""

import resource
import time
from dataclasses import asdict
from typing import Protocol

from bridge.config.model import Config
from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.journal.journal import Journal
from bridge.relay.link import RelayLink
from bridge.reload import Reloader
from bridge.targets.registry import Registry
from bridge.version import __version__


class Observed(Protocol):
    """The parts of a running daemon that are looked at."""

    config: Config
    counts: Counts
    dispatcher: Dispatcher
    journal: Journal
    registry: Registry
    relay: RelayLink
    reloader: Reloader
    started_at: float


def snapshot(daemon: Observed) -> dict[str, object]:
    """What the daemon is doing. It holds no secret and no webhook's text."""
    return {
        "version": __version__,
        "node": daemon.config.node,
        "started_at": daemon.started_at,
        "uptime": time.time() - daemon.started_at,
        "relay": _relay(daemon),
        "targets": _targets(daemon),
        "counters": {
            "webhooks": daemon.counts.webhooks,
            "duplicates": daemon.counts.duplicates,
            "unmatched": daemon.counts.unmatched,
        },
        "routes": {
            name: {"matched": c.matched, "failed": c.failed, "delivered": c.delivered, "dead": c.dead}
            for name, c in daemon.counts.routes.items()
        },
        "journal": asdict(daemon.journal.state) | {"unsaved": daemon.dispatcher.unsaved},
        "configuration": daemon.reloader.outcome.as_dict(),
        "process": {"max_rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss},
    }


def _relay(daemon: Observed) -> dict[str, object]:
    client = daemon.relay.client
    if client is None:
        return {"state": "down"}
    state = client.state
    return {
        "state": state.name,
        "reason": state.reason,
        "since": state.since,
        "bad_frames": dict(client.counters.bad_frames),
    }


def _targets(daemon: Observed) -> dict[str, object]:
    """Each target's state and its conservation counts; `pending` closes the sum."""
    states = {target.name: target.state() for target in daemon.registry}
    owed = daemon.dispatcher.owed()
    shown: dict[str, object] = {}
    for name in sorted({*states, *owed, *daemon.counts.targets}):
        state = states.get(name)
        shown[name] = {
            "state": state.name if state else "not configured",
            "reason": state.reason if state else "",
            "since": state.since if state else None,
            "pending": owed.get(name, 0),
            **daemon.counts.target(name).as_dict(),
        }
    return shown
