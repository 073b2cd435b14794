"""Looks at the running daemon, and has a broker's clients told. It sits in nobody's way."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from bridge.control import Answer, Handler
from bridge.errors import JournalError
from bridge.home import digest
from bridge.home.health import health, info
from bridge.home.memory import NOTE, Memory
from bridge.home.place import Place, place_of
from bridge.home.tasks import ended, watched
from bridge.passages import Passage, Passages
from bridge.silence import Alarm
from bridge.status import Observed, snapshot

if TYPE_CHECKING:  # it brings an MQTT client, and not every bridge needs it
    from bridge.home.presence import Presence

LOOK_SECONDS: Final = 1.0
"""Between two looks: nothing is told more often."""
COUNT_SECONDS: Final = 2.0
"""Between two words about counts that changed."""
HEALTH_SECONDS: Final = 60.0
"""Between two words about nothing new."""


class Reported(Observed, Protocol):
    """A running daemon, as it is reported on."""

    passages: Passages


class Pulse(NamedTuple):
    """What tells cheaply that there is something new."""

    state: object
    counts: object


class Reporter:
    """Reports on one daemon. Everything runs on the event loop's thread.

    Args:
        daemon: what is looked at.
        handlers: the control socket's commands.
    """

    def __init__(self, daemon: Reported, handlers: Mapping[str, Handler]) -> None:
        self._daemon = daemon
        self._handlers = handlers
        self._presence: Presence | None = None
        self._memory = Memory()
        self._noted = b""
        self._changed = asyncio.Event()
        self._newest = 0
        self._described = -1
        """The generation that was told of."""
        self._stale = True
        """Whether `info` or Home Assistant's entities have changed."""
        self._pulse: Pulse | None = None
        self._told_at = 0.0
        self._dead: int | None = None
        """Of the counts, at the last look."""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to report, where the routing file wants it."""
        note = await self._daemon.journal.get(NOTE)
        self._memory, self._noted = Memory.read(note), note or b""
        self._daemon.passages.listen(self._heard)
        self._daemon.silences.listen(self._alarmed)
        self._task = watched(self._run(), "status reports")

    def use(self) -> None:
        """The daemon has another configuration."""
        self._changed.set()

    async def close(self) -> None:
        """Say `offline` and disconnect."""
        if self._task is None:
            return
        await ended(self._task)
        if self._presence is not None:
            await self._presence.close(clear=False)
        self._keep()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            await self._settle()
            if self._presence is None:
                await self._changed.wait()
                continue
            await self._look(self._presence)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()

    async def _settle(self) -> None:
        """Be where the configuration wants it, and nowhere else."""
        self._stale = self._stale or self._generation != self._described
        place, before = place_of(self._daemon.config), self._presence
        if place == (before.place if before else None):
            return
        if before is not None:
            self._presence = None
            await before.close(clear=place is None or place.broker != before.place.broker)
        if place is not None:
            self._presence = self._made(place)
            self._presence.start()
        self._stale, self._pulse = True, None
        self._keep()

    def _made(self, place: Place) -> "Presence":
        from bridge.home.presence import Presence  # noqa: PLC0415  # heavy, and not every file needs it

        return Presence(place, self._memory, self._handlers, self._health_now)

    async def _look(self, presence: "Presence") -> None:
        if self._stale:
            self._describe(presence)
        pulse, now = _pulse(self._daemon), time.monotonic()
        if self._pulse is None or self._is_due(pulse, now - self._told_at):
            self._pulse, self._told_at = pulse, now
            presence.say_health(self._health())
        with suppress(JournalError):  # the daemon hears of it elsewhere, and ends
            await self._tell_dead(presence)
        self._keep()

    def _describe(self, presence: "Presence") -> None:
        self._stale, self._described = False, self._generation
        routes = [route.name for route in self._daemon.config.table.routes if route.enabled]
        presence.describe(info(snapshot(self._daemon), routes), routes)

    def _is_due(self, pulse: Pulse, since: float) -> bool:
        if self._pulse is None or pulse.state != self._pulse.state:
            return True
        return since >= (COUNT_SECONDS if pulse.counts != self._pulse.counts else HEALTH_SECONDS)

    def _health(self) -> dict[str, Any]:
        newest = next(iter(self._daemon.passages), None)
        return health(snapshot(self._daemon), newest.facts["received_at"] if newest else None)

    async def _health_now(self, _fields: Mapping[str, object]) -> Answer:
        return self._health()

    # Events

    def _heard(self, passage: Passage) -> None:
        """A webhook came, or one of them went on: told when this turn of the loop has made out repeats."""
        if self._presence is not None and passage.number > self._newest:
            self._newest = passage.number
            asyncio.get_running_loop().call_soon(self._tell, passage)

    def _tell(self, passage: Passage) -> None:
        if self._presence is None:
            return
        for route in passage.routes:
            legs = [leg.outcome for leg in passage.legs if leg.route == route]
            if legs and all(outcome == "duplicate" for outcome in legs):
                continue
            said = digest.event(passage, route)
            self._stale = self._memory.learn(route, said["event_type"]) or self._stale
            self._presence.say(self._presence.topics.event(route), said)

    def _alarmed(self, alarm: Alarm, begins: bool) -> None:
        if self._presence is not None:
            self._presence.say(self._presence.topics.alert, digest.alert(alarm, begins=begins))

    async def _tell_dead(self, presence: "Presence") -> None:
        """Tell of the dead letters since the last look; those before the very first one are no news."""
        dead = sum(target.dead for target in self._daemon.counts.targets.values())
        if dead == self._dead:
            return
        is_news, after = self._memory.dead is not None, self._memory.dead or 0
        page: Any = {"after": after}
        while page["after"] is not None:
            page = await self._handlers["dead-list"]({"after": after})
            for letter in page["letters"]:
                after = letter["id"]
                if is_news:
                    presence.say(presence.topics.dead, digest.dead(letter))
        self._memory.dead, self._dead = after, dead

    # What is remembered

    @property
    def _generation(self) -> int:
        return self._daemon.reloader.outcome.generation

    def _keep(self) -> None:
        note = self._memory.note()
        if note != self._noted:
            self._noted = note
            self._daemon.journal.put(NOTE, note)


def _pulse(daemon: Reported) -> Pulse:
    targets = [(target.name, target.state().name) for target in daemon.registry]
    client, outcome = daemon.relay.client, daemon.reloader.outcome
    relay = client.state.name if client else "down"
    silent, full, paused = set(daemon.silences.active), daemon.journal.full, daemon.dispatcher.paused
    settled = [target.settled for target in daemon.counts.targets.values()]
    return Pulse(
        state=(relay, targets, outcome.name, outcome.generation, silent, full, paused),
        counts=(daemon.counts.webhooks, daemon.dispatcher.owed(), settled),
    )
