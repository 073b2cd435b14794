"""The daemon: puts the stages together, starts them in order, and stops them in order."""

import asyncio
import logging
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

from bridge.clock_sync import ClockSync
from bridge.config.loader import Loaded, load
from bridge.config.model import Config
from bridge.console.console import Console
from bridge.console.latency import Latencies
from bridge.control import ControlSocket
from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher, Limits
from bridge.errors import ConfigError, JournalFull
from bridge.folders import SOCKET_NAME, Folders
from bridge.gaps import GapFiller
from bridge.home.reporter import Reporter
from bridge.intake import Intake
from bridge.journal.flights import Flights
from bridge.journal.journal import Journal
from bridge.last_good import LastGood
from bridge.notify import Notifier
from bridge.operations import commands, streams
from bridge.passages import Passages
from bridge.relay.link import RelayLink
from bridge.reload import Outcome, Reloader
from bridge.replies import Replies
from bridge.silence import SilenceAlarms
from bridge.targets.registry import Registry
from bridge.watch import FileWatch
from bridge.webhook import Webhook

log = logging.getLogger(__name__)

STOP_SECONDS = 8.0
"""What is in flight may finish for so long; what doesn't is durable and delivered after the next start."""
HOUSEKEEPING_SECONDS = 5.0
MOST_UNSAVED = 64
"""Deliveries that are neither done nor durable, beyond which late webhooks let live ones go first."""


async def open_config(path: Path, last_good: LastGood) -> tuple[Config, Loaded]:
    """The routing file, or the last good one where it can't be used, and what was said of the file.

    Raises:
        ConfigError: there is neither.
    """
    loaded = await asyncio.to_thread(load, path)
    if loaded.config is not None:
        return loaded.config, loaded
    kept = await asyncio.to_thread(last_good.load)
    # What is kept may be of another routing file that was run with this state folder.
    fallback = await asyncio.to_thread(load, path, kept) if path in kept else loaded
    if fallback.config is None:
        raise ConfigError(loaded.report())
    log.error("the routing file was rejected, starting with the last good one:\n%s", loaded.report())
    return fallback.config, loaded


def open_flights(folder: Path) -> Flights:
    """What is in flight, for the next process; nothing outlives this one where the folder can't be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Flights(folder / "flights")
    except OSError as error:
        log.warning("a death of the process will be counted against no delivery: %s", error)
        return Flights(None)


class Daemon:
    """One running bridge: the parts of the path, and what looks at them.

    Made by `start`, on the event loop that it serves on.
    """

    def __init__(self, path: Path, folders: Folders, config: Config, journal: Journal) -> None:
        self.config = config
        self.journal = journal
        self.counts = Counts()
        self.started_at = time.time()
        self.started = time.monotonic()
        self.stopping = asyncio.Event()
        self.failure: BaseException | None = None
        self.notifier = Notifier.from_environment()
        self.passages = Passages()
        self.latencies = Latencies(self.passages)
        self.clock_sync = ClockSync(journal.clock.is_plausible)
        self.flights = open_flights(folders.runtime)
        self.dispatcher = Dispatcher(
            journal,
            self.counts,
            limits=Limits(linger=config.journal.linger),
            congested=self._congested,
            accepted=self._accepted,
            witness=self.latencies,
            flights=self.flights,
        )
        self.registry = Registry(self.dispatcher, config.node)
        self.replies = Replies()
        self.intake = Intake(
            self.dispatcher,
            self.counts,
            config.table,
            0,
            self.clock_sync.clock,
            self.replies,
            self.passages,
        )
        self.gaps = GapFiller(
            journal, self._take_late, busy=self._is_busy, owes=self.dispatcher.receipts.owes
        )
        self.relay = RelayLink(self._take, self.fail, told=self.gaps.relay_became)
        self.reloader = Reloader(path, self._apply, time.time)
        self.last_good = LastGood(folders.state)
        self.silences = SilenceAlarms(self.counts, journal, journal.clock.now)
        handlers = commands(self)
        self.control = ControlSocket(folders.runtime / SOCKET_NAME, handlers, streams(self))
        self.reporter = Reporter(self, handlers)
        self.console = Console(self, handlers)
        self._dirty = asyncio.Event()
        self._reloading = asyncio.Lock()
        self.watch = FileWatch(self._dirty.set)
        journal.failed.add_done_callback(lambda failed: self.fail(failed.result()))
        journal.listen(
            on_full=lambda _reason: self.dispatcher.check_room(), on_room=self.dispatcher.check_room
        )

    async def run(self, loaded: Loaded) -> None:
        """Serve until a signal or `fail`, and stop in order: the intake first, the journal last."""
        async with AsyncExitStack() as stops:
            stops.push_async_callback(self.journal.close)
            stops.callback(self._acquit)
            stops.push_async_callback(self.reporter.close)
            stops.callback(self.silences.note)
            stops.push_async_callback(self.control.close)
            stops.push_async_callback(self.console.close)
            stops.callback(self.watch.close)
            stops.push_async_callback(self.replies.close)
            stops.push_async_callback(self.dispatcher.stop)
            stops.push_async_callback(self.registry.close, STOP_SECONDS)
            stops.callback(self.dispatcher.quiesce)
            stops.push_async_callback(self.gaps.close)
            stops.push_async_callback(self.relay.close)
            stops.callback(self.notifier.stopping)
            await self._start(loaded)
            await self._serve()
        if self.failure is not None:
            raise self.failure

    async def _start(self, loaded: Loaded) -> None:
        await self._convict()
        recovered = await self.dispatcher.recover()
        if recovered:
            log.info("%d deliveries from before this start are taken up", recovered)
        await self.silences.restore()
        self.reloader.start(self.config, loaded.problems)
        await self.reporter.start()
        await self.control.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGHUP, self._dirty.set)
        self.notifier.ready(self.summary())

    async def _convict(self) -> None:
        """Count the death of the last process against what it was sending."""
        left = self.flights.left
        if not left:
            return
        log.warning("the last process died with %d deliveries in flight", len(left))
        try:
            self.dispatcher.suspect(await self.journal.convict(left))
        except JournalFull as error:
            log.warning("that can't be counted against them: %s", error)
            self.dispatcher.suspect(left)
        self.flights.forget()

    def _acquit(self) -> None:
        """An end in order is no delivery's fault; of a failure, one may be the cause."""
        if self.failure is None:
            self.flights.close()

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._housekeeping(), name="housekeeping"),
                group.create_task(self._reloads(), name="reloads"),
            ]
            await self.stopping.wait()
            for task in tasks:
                task.cancel()

    # While it runs

    def _apply(self, config: Config, generation: int) -> None:
        """Swap to a configuration; what did not change keeps its connections."""
        targets = self.registry.use({**config.brokers, **config.services})
        self.dispatcher.pace(config.table.rates)
        self.dispatcher.use({name: (target, config.retry_of(name)) for name, target in targets.items()})
        self.dispatcher.when_full(config.journal.when_full)
        self.intake.use(config.table, generation)
        self.gaps.use(config.relay, config.gaps)
        self.replies.use(config.relay)
        self.relay.use(config.relay)
        self.watch.watch(config.files)
        self.console.use(config.console)
        self.silences.use(config.silences)
        self.config = config
        self.reporter.use()

    def _congested(self, holding: bool) -> None:
        if holding:
            self.relay.hold("the journal can't follow")
        else:
            self.relay.release()

    def _accepted(self, webhook_id: str) -> None:
        self.relay.accepted(webhook_id)

    def _take(self, webhook: Webhook) -> None:
        """Take a webhook; the relay may forget it once it is delivered or durable, or nobody wants it."""
        self.gaps.came_live(webhook.id)
        self.intake.accept(webhook)
        if not self.dispatcher.receipts.owes(webhook.id):
            self.relay.accepted(webhook.id)

    def _take_late(self, webhook: Webhook) -> bool:
        """Take a webhook of the relay's log; whether it had been missed, and somebody wants it."""
        counts = self.counts
        before = counts.duplicates + counts.unmatched + counts.rejected
        self.intake.accept(webhook)
        return counts.duplicates + counts.unmatched + counts.rejected == before

    def _is_busy(self) -> bool:
        return self.dispatcher.unsaved > MOST_UNSAVED

    async def _reloads(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self.reload()

    async def reload(self) -> Outcome:
        """Read the routing file again, and apply it if it is new and valid; one reload at a time."""
        async with self._reloading:
            self.notifier.reloading()
            outcome = await self.reloader.reload()
            self.watch.watch(self.config.files)
            self.notifier.ready(self.summary())
            if outcome.name == "applied":
                await self._keep_last_good()
            return outcome

    async def _keep_last_good(self) -> None:
        try:
            await asyncio.to_thread(self.last_good.save, self.config.texts)
        except OSError as error:
            log.warning("the applied routing file could not be kept for the next start: %s", error)

    async def _housekeeping(self) -> None:
        """Slow work beside the path, and the proof of life for the service manager."""
        await self._keep_last_good()
        pause = min(HOUSEKEEPING_SECONDS, self.notifier.watchdog_interval or HOUSEKEEPING_SECONDS)
        while True:
            await asyncio.sleep(pause)
            await self.journal.get("heartbeat")  # its thread is alive: nobody else would notice
            self.gaps.checkpoint(self.relay.state())
            self.silences.check()
            self.notifier.watchdog()
            self.registry.drop(self.dispatcher.idle_targets())

    def summary(self) -> str:
        """One line for `systemctl status`."""
        outcome = self.reloader.outcome
        routes = len(self.config.table.routes)
        return f"generation {outcome.generation}, {routes} routes, last reload: {outcome.name}"

    def _on_stop_signal(self) -> None:
        if self.stopping.is_set():
            log.warning("a second signal: stopping at once")
            self.flights.forget()
            os._exit(1)
        self.stopping.set()

    def fail(self, error: BaseException) -> None:
        """A part ended that must not end: stop, so that the service manager starts afresh."""
        log.critical("internal error, stopping", exc_info=error)
        self.failure = error
        self.stopping.set()


async def serve(path: Path, folders: Folders) -> None:
    """Run the bridge until it is told to stop.

    Raises:
        ConfigError: no usable routing file.
        JournalError: the journal can't be opened (`JournalBusy`: another instance runs).
    """
    config, loaded = await open_config(path, LastGood(folders.state))
    await asyncio.to_thread(folders.state.mkdir, parents=True, exist_ok=True, mode=0o700)
    journal = await Journal.open(
        config.journal.path or folders.state / "journal.db", max_bytes=config.journal.max_bytes
    )
    await Daemon(path, folders, config, journal).run(loaded)
