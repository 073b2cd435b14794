"""The daemon's state as one mapping, for the `status` command and everything else that shows it."""

import re
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from bridge.config.model import Config
from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.gaps import GapFiller
from bridge.journal.journal import Journal
from bridge.relay.link import RelayLink
from bridge.reload import Reloader
from bridge.replies import Replies
from bridge.silence import SilenceAlarms
from bridge.targets.base import Target
from bridge.targets.mqtt_answers import Answers
from bridge.targets.registry import Registry
from bridge.version import __version__

PROCESS = Path("/proc/self/status")
_GONE: Final = {"state": "not configured", "reason": "", "since": None, "last_failure": None}
"""Of a target that no route names, and that is owed something still."""


@dataclass(frozen=True, slots=True)
class ConsoleState:
    """Where the console is, or why it is not where it shall be; neither where none is wanted."""

    url: str = ""
    problem: str = ""


class Listening(Protocol):
    """The console, as far as the status tells of it."""

    @property
    def state(self) -> ConsoleState:
        """Where it is."""


class Observed(Protocol):
    """The parts of a running daemon that are looked at."""

    config: Config
    counts: Counts
    dispatcher: Dispatcher
    gaps: GapFiller
    journal: Journal
    registry: Registry
    relay: RelayLink
    reloader: Reloader
    replies: Replies
    silences: SilenceAlarms
    started_at: float
    """Unix time in seconds."""
    started: float
    """Monotonic time in seconds."""

    @property
    def console(self) -> Listening:
        """Where people look."""


@runtime_checkable
class Asking(Protocol):
    """A target that can be asked for answers to what it is sent."""

    answers: Answers


@runtime_checkable
class Publishing(Protocol):
    """A target that learns where nobody takes what it was sent."""

    @property
    def unheard(self) -> int:
        """Deliveries that nobody was there for."""


def snapshot(daemon: Observed) -> dict[str, object]:
    """What the daemon is doing. It holds no secret and no webhook's text."""
    return {
        "version": __version__,
        "node": daemon.config.node,
        "started_at": daemon.started_at,
        "uptime": time.monotonic() - daemon.started,
        "relay": _relay(daemon),
        "gaps": asdict(daemon.gaps.state),
        "replies": asdict(daemon.replies.counts),
        "targets": _targets(daemon),
        "counters": {
            "webhooks": daemon.counts.webhooks,
            "duplicates": daemon.counts.duplicates,
            "unmatched": daemon.counts.unmatched,
            "rejected": daemon.counts.rejected,
        },
        "routes": {name: asdict(counts) for name, counts in daemon.counts.routes.items()},
        "silences": {name: alarm.as_dict() for name, alarm in daemon.silences.active.items()},
        "journal": asdict(daemon.journal.state) | {"unsaved": daemon.dispatcher.unsaved},
        "configuration": daemon.reloader.outcome.as_dict(),
        "console": asdict(daemon.console.state),
        "process": memory(),
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
        "alarm": state.alarm,
        "connects": client.counters.connects,
        "cut": client.counters.cut,
        "bad_frames": dict(client.counters.bad_frames),
    }


def _targets(daemon: Observed) -> dict[str, object]:
    """Each target's state and its conservation counts; `pending` closes the sum."""
    targets = {target.name: target for target in daemon.registry}
    owed, held = daemon.dispatcher.owed(), daemon.dispatcher.paused
    shown: dict[str, object] = {}
    for name in sorted({*targets, *owed, *daemon.counts.targets}):
        shown[name] = {
            **(_condition(targets[name]) if name in targets else _GONE),
            "pending": owed.get(name, 0),
            **daemon.counts.target(name).as_dict(),
            **({"state": "paused", "reason": "an operator holds it"} if name in held else {}),
        }
    return shown


def _condition(target: Target) -> dict[str, object]:
    """What a target says of itself."""
    state, failure = target.state(), target.last_failure()
    said: dict[str, object] = {
        "state": state.name,
        "reason": state.reason,
        "since": state.since,
        "last_failure": failure and asdict(failure),
    }
    if isinstance(target, Publishing):
        said["unheard"] = target.unheard
    if isinstance(target, Asking) and (target.answers.taken or target.answers.strays):
        said["answers"] = {"taken": target.answers.taken, "strays": target.answers.strays}
    return said


def memory() -> dict[str, int | None]:
    """This process's memory now and at most, in KiB; what it has now is known on Linux only."""
    try:
        found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", PROCESS.read_text(), re.MULTILINE))
        return {"rss_kib": int(found["VmRSS"]), "max_rss_kib": int(found["VmHWM"])}
    except (OSError, KeyError):
        # That of a process that was started by a larger one begins with the larger one's.
        return {"rss_kib": None, "max_rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
