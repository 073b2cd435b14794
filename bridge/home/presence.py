"""The bridge as one broker's clients see it: its topics, its device in Home Assistant, its commands."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.control import Handler
from bridge.home.commands import Commands
from bridge.home.digest import packed
from bridge.home.discovery import removal
from bridge.home.memory import Memory
from bridge.home.place import Place
from bridge.home.publisher import Publisher
from bridge.home.tasks import ended, watched

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"
FORGET: Final = b""
"""An empty retained message: the broker forgets the topic."""
GOODBYE_SECONDS: Final = 2.0
BIRTH_SECONDS: Final = (0.5, 3.0)
"""After Home Assistant's start, so that not all of its devices answer at once."""


class Presence:
    """Publishes at one place.

    Args:
        place: where.
        memory: of what was published before; kept up to date.
        handlers: the control socket's commands.
        health: what the command `health` is answered.
    """

    def __init__(
        self, place: Place, memory: Memory, handlers: Mapping[str, Handler], health: Handler
    ) -> None:
        self.place = place
        self.topics = place.topics
        self._memory = memory
        self._device = place.device if place.discovered else None
        self._commands = Commands(handlers, health, self._reply) if place.settings.commands else None
        self._serving: asyncio.Task[None] | None = None
        self._birth: asyncio.TimerHandle | None = None
        will = (self.topics.status, OFFLINE)
        self.publisher = Publisher(
            place.broker, place.client_id, self._take, filters=self._filters(), will=will
        )

    def _filters(self) -> dict[str, bool]:
        """What is subscribed to; retained requests are somebody's mistake."""
        filters = {}
        if self._device is not None:
            filters[self._device.birth_topic] = False
        if self._commands is not None:
            filters[self.topics.requests] = False
        return filters

    def start(self) -> None:
        """Connect, and have the broker forget what was retained elsewhere before."""
        if self._commands is not None:
            self._serving = watched(self._commands.run(), "commands by MQTT")
        self.publisher.retain(self.topics.status, ONLINE)
        if self._memory.broker == self.place.address:
            for topic in set(self._memory.retained) - set(self.place.retained):
                self.publisher.retain(topic, FORGET)
        self._memory.broker, self._memory.retained = self.place.address, self.place.retained
        self.publisher.start()

    def describe(self, info: dict[str, Any], routes: Sequence[str]) -> None:
        """Say what runs here, and which entities Home Assistant shall have."""
        self.publisher.retain(self.topics.info, packed(info))
        types = self._memory.known(routes)
        if self._device is None:
            self._memory.components.clear()
            return
        components = self._device.components(types)
        gone = {name: removal(platform) for name, platform in self._memory.gone(components).items()}
        self.publisher.retain(self._device.topic, packed(self._device.payload(components | gone)))

    def say_health(self, health: Mapping[str, Any]) -> None:
        """Say how the bridge is."""
        self.publisher.retain(self.topics.health, packed(health))

    def say(self, topic: str, said: Mapping[str, Any]) -> None:
        """Publish an event."""
        self.publisher.send(topic, packed(said))

    async def close(self, *, clear: bool) -> None:
        """Say goodbye and disconnect. `clear`: the broker forgets everything, for it won't come back."""
        if self._birth is not None:
            self._birth.cancel()
        if self._serving is not None:
            await ended(self._serving)
        if clear:
            if await self._forget():
                self._memory.retained, self._memory.components = [], {}
        else:
            self.publisher.retain(self.topics.status, OFFLINE)
            await self._settled()
        await self.publisher.close()

    async def _forget(self) -> bool:
        """Whether the broker has forgotten it all.

        Home Assistant's entities go first: they could not read empty messages.
        """
        forgotten = True
        for topic in reversed(self.place.retained):
            self.publisher.retain(topic, FORGET)
            forgotten = forgotten and await self._settled()
        return forgotten

    async def _settled(self) -> bool:
        return self.publisher.state.name == "up" and await self.publisher.settled(GOODBYE_SECONDS)

    def _take(self, topic: str, payload: bytes, retained: bool) -> None:
        if retained:
            return
        if self._device is not None and topic == self._device.birth_topic:
            if payload == ONLINE:
                self._answer_birth()
            return
        command = self.topics.command(topic)
        if command is not None and self._commands is not None:
            self._commands.take(command, payload)

    def _answer_birth(self) -> None:
        """Home Assistant has started: it may have missed everything."""
        if self._birth is not None:
            self._birth.cancel()
        delay = random.uniform(*BIRTH_SECONDS)  # noqa: S311  # jitter is no secret
        self._birth = asyncio.get_running_loop().call_later(delay, self.publisher.repeat)

    def _reply(self, command: str, payload: bytes) -> None:
        self.publisher.send(self.topics.response(command), payload)
