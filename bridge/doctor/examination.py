"""All checks of an installation, side by side."""

import asyncio
import os
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

from bridge.config.files import read_file
from bridge.config.loader import Loaded, load
from bridge.config.model import Config
from bridge.config.secrets import LARGEST_FILE, Secrets
from bridge.doctor.broker import check_broker
from bridge.doctor.finding import Check, Finding, Scribe
from bridge.doctor.http import check_service
from bridge.doctor.machine import check_disk, check_memory, check_modes
from bridge.doctor.relay import check_relay

MOST_AT_ONCE: Final = 16
"""Services and brokers that are looked at side by side."""

SHORTEST_SECRET: Final = 4


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at."""

    file: Path
    """The routing file."""
    state: Path
    """The daemon's state folder."""
    status: Mapping[str, Any] | None = None
    """The running daemon's; None where none is known to run."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


async def examine(patient: Patient) -> list[Finding]:
    """Every check's finding, in the order of `Check`. Takes at most a minute."""
    read: list[Path] = []

    def note(path: Path) -> bytes:
        read.append(path)
        return read_file(path, LARGEST_FILE)

    secrets = Secrets(patient.file.parent, patient.environment, note)
    loaded = await asyncio.to_thread(load, patient.file, secrets=secrets)
    found = [_routing_file(patient, loaded), *check_memory()]
    if loaded.config is None:
        found += check_modes(read, loaded.files)
    else:
        found += _modes(loaded.config, read)
        found += _disk(loaded.config, patient)
        found += await _peers(loaded.config, patient)
    order = list(Check)
    return sorted(found, key=lambda finding: order.index(finding.check))


def _routing_file(patient: Patient, loaded: Loaded) -> Finding:
    write = Scribe(str(patient.file))
    if loaded.config is None:
        first = next(one for one in loaded.problems if one.severity == "error")
        return write.bad(Check.ROUTING_FILE, f"{loaded.summary}, the first is {first}")
    return write.good(Check.ROUTING_FILE, loaded.summary)


def _modes(config: Config, read: Iterable[Path]) -> list[Finding]:
    keys = [broker.key for broker in config.brokers.values() if broker.key is not None]
    written = [path for path, text in config.texts.items() if any(one in text for one in _revealed(config))]
    return check_modes([*read, *keys, *written], config.files)


def _revealed(config: Config) -> list[bytes]:
    """Secrets as a file would hold them itself; the shortest could stand there by chance."""
    found = [config.relay.secret]
    found += [broker.password for broker in config.brokers.values() if broker.password]
    found += [value for service in config.services.values() for _, value in service.headers]
    found += [secret for verifier in config.verifiers.values() for secret in verifier.secrets]
    found += [config.console.token] if config.console and config.console.token else []
    return [text.encode() for secret in found if len(text := secret.reveal()) >= SHORTEST_SECRET]


def _disk(config: Config, patient: Patient) -> list[Finding]:
    folder = config.journal.path.parent if config.journal.path else patient.state
    held = patient.status["journal"]["bytes"] if patient.status else 0
    return check_disk(folder, config.journal.max_bytes, held)


async def _peers(config: Config, patient: Patient) -> list[Finding]:
    """Everybody else, side by side."""
    slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def in_turn(checks: Coroutine[Any, Any, list[Finding]]) -> list[Finding]:
        async with slots:
            return await checks

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(in_turn(checks))
            for checks in (
                check_relay(config.relay, patient.status),
                *(check_broker(config, one, patient.status) for one in config.brokers.values()),
                *(check_service(one) for one in config.services.values()),
            )
        ]
    return list(chain.from_iterable(task.result() for task in tasks))
