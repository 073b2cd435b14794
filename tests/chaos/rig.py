"""A bridge with everything around it that can break: relay, broker, service, and the wires between."""

import signal
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from websockets.asyncio.server import ServerConnection

from bridge.journal.webhooks import load_webhook
from tests.chaos.oracle import Oracle, Verdict
from tests.chaos.proxy import FaultProxy
from tests.chaos.relay import Pusher
from tests.chaos.service import HostileService
from tests.chaos.tap import Tap
from tests.chaos.world import BROKER, SERVICE, Event, Settings
from tests.support.mosquitto import Broker
from tests.support.process import BridgeProcess, conserved
from tests.support.relay import SECRET, scripted_relay
from tests.support.waiting import eventually, eventually_async

PATIENCE = 60.0
"""Seconds within which everything has to be well again after a fault."""
POLL = 0.05
"""Seconds between looks at the bridge: looking costs it time, too."""


class Rig:
    """One run's machinery. It is ready, with the bridge subscribed, inside `async with`."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings = settings
        self.oracle = Oracle()
        self.broker = Broker(folder)
        self.secret = SECRET
        self.tap = Tap(self.broker.plain_port, lambda topic, data: self.oracle.arrive(BROKER, topic, data))
        self.service = HostileService(lambda path, data: self.oracle.arrive(SERVICE, path, data))
        self.backlog: list[Event] = []
        """What the relay still has to send."""
        self._folder = folder
        self._written_to: ServerConnection | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            self.relay = await enter(scripted_relay())
            self.pusher = Pusher(self.relay)
            await enter(self.broker)
            stack.callback(self.tap.abort)
            await self.tap.open()
            await enter(self.service)
            self.relay_wire = await enter(FaultProxy(self.relay.port))
            self.broker_wire = await enter(FaultProxy(self.broker.port))
            self.service_wire = await enter(FaultProxy(self.service.port))
            self.bridge = await enter(BridgeProcess(self._folder / "bridge", self.routing()))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def routing(self) -> str:
        """The routing file as it should be now."""
        return self.settings.yaml(
            relay=self.relay_wire.port,
            broker=self.broker_wire.port,
            service=self.service_wire.port,
            secret=self.secret,
        )

    async def status(self) -> dict[str, Any]:
        """The bridge's status; its sums are checked each time."""
        status = await self.bridge.ask("status")
        conserved(status)
        return status

    # Webhooks in

    async def send(self, events: list[Event]) -> None:
        """Have the relay send these behind its backlog; what it can't send now it sends later."""
        self.backlog += events
        subscriber = self.pusher.subscriber
        if subscriber is None or subscriber is not self._written_to:
            return  # first it has to be known what the connection before this one brought
        events, self.backlog = self.backlog, []
        self.oracle.announce(events)
        written = await self.pusher.push([event.webhook() for event in events])
        self.oracle.wrote(events[:written])
        self.backlog = events[written:]

    async def settle(self) -> None:
        """Returns once everything that the relay has was taken by the bridge, whatever it takes."""
        await eventually_async(self.all_taken, PATIENCE, every=POLL)

    async def all_taken(self) -> bool:
        """Whether the bridge has everything; the relay is helped on where it hasn't."""
        subscriber = self.pusher.subscriber
        status = await self.bridge.try_ask("status")
        if subscriber is None or subscriber is not self.pusher.subscriber or status is None:
            return False
        counted = int(status["counters"]["webhooks"])
        if subscriber is not self._written_to:
            # The bridge ended one connection before it opened the next: it will get no more of the old one.
            self.backlog = self.oracle.settle(counted) + self.backlog
            self._written_to = subscriber
        elif counted == self.oracle.written:
            self.oracle.settle(counted)
        if self.backlog:
            await self.send([])
        return not self.oracle.unsettled and not self.backlog

    async def safe(self) -> None:
        """Returns once the bridge has taken everything, and a power cut would take none of it."""
        await self.settle()
        await self.until(lambda status: status["journal"]["unsaved"] == 0)
        self.oracle.safe()

    async def marked(self, target: str) -> None:
        """Returns once a target has all and the journal knows it; others must keep the journal busy."""

        async def commits() -> int:
            status = await self.status()
            return 0 if status["targets"][target]["pending"] else int(status["journal"]["commits"])

        first = await eventually_async(commits, PATIENCE, every=POLL)

        async def two_more() -> bool:
            return await commits() >= first + 2  # the first of them may have begun before

        await eventually_async(two_more, PATIENCE, every=POLL)

    async def drained(self) -> dict[str, Any]:
        """The status once nothing is owed any more."""

        return await self.until(lambda status: not any(one["pending"] for one in status["targets"].values()))

    async def until(
        self, holds: Callable[[dict[str, Any]], bool], timeout: float = PATIENCE
    ) -> dict[str, Any]:
        """The status as soon as something holds of it."""

        async def found() -> dict[str, Any] | None:
            status = await self.status()
            return status if holds(status) else None

        status = await eventually_async(found, timeout, every=POLL)
        assert status is not None
        return status

    # Life and death

    async def kill(self) -> None:
        """SIGKILL the bridge; what it read and didn't tell goes back to the relay, to be sent again."""
        await self.bridge.kill()
        await self.revive()

    async def dies_at(self, point: str) -> None:
        """Start it anew so that it kills itself at a named point (see `bridge.crashpoint`), maybe at once."""
        await self._stop()
        await self.gone()
        self.bridge.environment["RELAY_BRIDGE_CRASH"] = point
        await self.bridge.start(subscribed=False)
        del self.bridge.environment["RELAY_BRIDGE_CRASH"]
        await eventually(lambda: self.pusher.subscriber or self.bridge.returncode is not None, PATIENCE)
        self._written_to = self.pusher.subscriber  # it was told nothing yet

    async def death(self) -> None:
        """Returns once the bridge killed itself."""
        await eventually(lambda: self.bridge.returncode == -signal.SIGKILL, PATIENCE)

    async def revive(self, *, subscribed: bool = True) -> None:
        """Start the bridge after a crash; what it had and wasn't safe, the relay sends again."""
        self.oracle.deaths += 1
        self.oracle.excuse_crash(BROKER, self.settings.window)
        self.oracle.excuse_crash(SERVICE, self.settings.requests)
        self._bury()
        await self.bridge.start(subscribed=subscribed)

    async def restart(self) -> None:
        """SIGTERM the bridge and start it again."""
        await self._stop()
        await self.bridge.start()

    async def _stop(self) -> None:
        assert await self.bridge.stop() == 0
        self.oracle.safe()  # what it took, it delivered or stored before it ended
        self._bury()

    def _bury(self) -> None:
        self.backlog = self.oracle.process_ended() + self.backlog
        self._written_to = None

    async def broker_down(self, with_signal: int) -> None:
        """End the broker; the bridge finds a closed port."""
        await self.broker.stop(with_signal)
        await self.tap.close()
        await self.broker_wire.refuse()
        self.oracle.excuse(BROKER, self.settings.window)

    async def broker_up(self) -> None:
        """Start it again; the bridge comes in when the tap is there."""
        await self.broker.start()
        await self.tap.open()
        await self.broker_wire.admit()

    async def gone(self) -> None:
        """Returns once the relay has no subscriber."""
        await eventually(lambda: not self.relay.subscribers, PATIENCE)

    async def finish(self) -> dict[str, Any]:
        """Stop everything once it is quiet; the last status, and what is `on_disk` then."""
        await self.settle()
        status = await self.drained()
        assert await self.bridge.stop() == 0
        await self.tap.close()
        return status | {"on_disk": self._on_disk(), "convicted": self._convicted()}

    async def verdict(self) -> Verdict:
        """`finish`, and what the whole run came to."""
        return self.oracle.judge(await self.finish())

    def _on_disk(self) -> dict[str, int]:
        """Rows of the journal's tables, as they are without the bridge."""
        with self._journal() as db:
            return {
                table: int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # our own names
                for table in ("deliveries", "dead", "quarantine")
            }

    def _convicted(self) -> list[tuple[str, int]]:
        """Route and number of the dead letters that are said to have killed the process."""
        with self._journal() as db:
            rows = db.execute(
                "SELECT dead.route, webhooks.frame, webhooks.seq FROM dead"
                " JOIN webhooks ON webhooks.seq = dead.webhook WHERE dead.code = 'crash'"
            )
            return [(route, orjson.loads(load_webhook(frame, seq).raw)["n"]) for route, frame, seq in rows]

    def _journal(self) -> "closing[sqlite3.Connection]":
        return closing(sqlite3.connect(self.bridge.folder / "state" / "journal.db"))
