"""Which targets exist: made when the routing file first names them, kept while their settings stay."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.config.model import BrokerSettings, ServiceSettings
from bridge.targets.base import Listener, Target

log = logging.getLogger(__name__)

Settings = BrokerSettings | ServiceSettings
CLOSE_SECONDS = 5.0


@dataclass(slots=True)
class _Entry:
    settings: Settings
    target: Target
    change: asyncio.Task[None]
    """Starting it, after the target that it replaces was closed."""


class Registry:
    """Makes, replaces and closes targets. A changed one is closed before its successor connects."""

    def __init__(self, listener: Listener, node: str) -> None:
        self._listener = listener
        self._node = node
        self._entries: dict[str, _Entry] = {}
        self._closing: set[asyncio.Task[None]] = set()

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
            start = self._start(target, self._entries.get(name))
            task = asyncio.create_task(start, name=f"start {name}")
            self._entries[name] = _Entry(wanted[name], target, task)
        return {name: self._entries[name].target for name in wanted}

    @staticmethod
    async def _start(target: Target, replaced: _Entry | None) -> None:
        if replaced is not None:
            await replaced.change
            await replaced.target.close(CLOSE_SECONDS)
        await target.start()

    def drop(self, targets: list[Target]) -> None:
        """Close targets that nothing is owed to any more."""
        for target in targets:
            entry = self._entries.pop(target.name, None)
            if entry is not None:
                task = asyncio.create_task(self._close(entry, CLOSE_SECONDS), name=f"close {target.name}")
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    @staticmethod
    async def _close(entry: _Entry, seconds: float) -> None:
        await asyncio.wait([entry.change], timeout=seconds)
        await entry.target.close(seconds)

    async def close(self, seconds: float) -> None:
        """Close every target: what is in flight has `seconds` to finish."""
        entries = list(self._entries.values())
        self._entries.clear()
        results = await asyncio.gather(
            *(self._close(entry, seconds) for entry in entries), *self._closing, return_exceptions=True
        )
        for result in results:
            if isinstance(result, Exception):
                log.error("closing a target failed: %r", result)

    def __iter__(self) -> Iterator[Target]:
        return iter([entry.target for entry in self._entries.values()])


def make_target(settings: Settings, listener: Listener, node: str) -> Target:
    """A target for these settings, not yet started. Adapters are imported when they are first needed."""
    if isinstance(settings, BrokerSettings):
        from bridge.targets.mqtt import MqttTarget  # noqa: PLC0415  # heavy, and not every file needs it

        return MqttTarget(settings, listener, node=node)
    from bridge.targets.http import HttpTarget  # noqa: PLC0415  # heavy, and not every file needs it

    return HttpTarget(settings, listener)
