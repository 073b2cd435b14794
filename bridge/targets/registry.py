"""Which targets exist: made when the routing file first names them, kept while their settings stay."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from bridge.config.model import BrokerSettings, ServiceSettings
from bridge.targets.base import Listener, Target

log = logging.getLogger(__name__)

Settings = BrokerSettings | ServiceSettings
CLOSE_SECONDS = 5.0


@dataclass(slots=True)
class _Entry:
    settings: Settings
    target: Target
    start: asyncio.Task[None]
    """Starting it, after the target that it replaces was closed."""


class Registry:
    """Makes, replaces and closes targets. A changed one is closed before its successor connects."""

    def __init__(self, listener: Listener, node: str) -> None:
        self._listener = listener
        self._node = node
        self._entries: dict[str, _Entry] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        """Targets on their way out, by name: a broker takes one connection of a client ID."""

    def use(self, wanted: Mapping[str, Settings]) -> Mapping[str, Target]:
        """The targets for these settings by name; the unchanged ones keep their connections.

        Raises:
            ConfigError: one of them can't be made; nothing has changed then.
        """
        made = {
            name: make_target(settings, self._listener, self._node)
            for name, settings in wanted.items()
            if name not in self._entries or self._entries[name].settings != settings
        }
        for name, target in made.items():
            self._retire(name)
            start = asyncio.create_task(self._start(target, self._closing.get(name)), name=f"start {name}")
            start.add_done_callback(_tell_failure)
            self._entries[name] = _Entry(wanted[name], target, start)
        return {name: self._entries[name].target for name in wanted}

    @staticmethod
    async def _start(target: Target, replaced: asyncio.Task[None] | None) -> None:
        if replaced is not None:
            await asyncio.wait([replaced])
        await target.start()

    def drop(self, targets: list[Target]) -> None:
        """Close targets that nothing is owed to any more."""
        for target in targets:
            self._retire(target.name)

    def _retire(self, name: str) -> None:
        """Close a target in the background, where there is one."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return
        close = _close(entry, CLOSE_SECONDS, self._closing.get(name))
        task = self._closing[name] = asyncio.create_task(close, name=f"close {name}")
        task.add_done_callback(_tell_failure)
        task.add_done_callback(partial(self._forget, name))

    def _forget(self, name: str, closed: asyncio.Task[None]) -> None:
        if self._closing.get(name) is closed:
            del self._closing[name]

    async def close(self, seconds: float) -> None:
        """Close every target: what is in flight has `seconds` to finish."""
        entries = list(self._entries.values())
        self._entries.clear()
        closing = [asyncio.create_task(_close(entry, seconds), name="close") for entry in entries]
        for task in closing:
            task.add_done_callback(_tell_failure)
        if closing or self._closing:
            await asyncio.wait([*closing, *self._closing.values()])

    def __iter__(self) -> Iterator[Target]:
        return iter([entry.target for entry in self._entries.values()])


async def _close(entry: _Entry, seconds: float, before: asyncio.Task[None] | None = None) -> None:
    """Close a target, at once where it has not started yet, but not before its predecessor."""
    entry.start.cancel()
    await asyncio.wait([entry.start] if before is None else [entry.start, before])
    await entry.target.close(seconds)


def _tell_failure(task: asyncio.Task[None]) -> None:
    """A target that can't start or close is a bug, and must be loud."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s failed", task.get_name(), exc_info=error)


def make_target(settings: Settings, listener: Listener, node: str) -> Target:
    """A target for these settings, not yet started. Adapters are imported when they are first needed."""
    if isinstance(settings, BrokerSettings):
        from bridge.targets.mqtt import MqttTarget  # noqa: PLC0415  # heavy, and not every file needs it

        return MqttTarget(settings, listener, node=node)
    from bridge.targets.http import HttpTarget  # noqa: PLC0415  # heavy, and not every file needs it

    return HttpTarget(settings, listener)
