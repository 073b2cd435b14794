"""One contender at work: a broker, the load, and the contender on its core, in a folder of their own."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import webhooks
from tests.bench.contenders.base import Contender, Place
from tests.bench.load import Batch, Load
from tests.bench.processes import Process
from tests.support.mosquitto import Broker
from tests.support.npm import CACHE

START_SECONDS: Final = 60.0
RUNS: Final = CACHE.parent / "bench"
"""Not in /tmp, which may be memory: what is written to disk is measured."""
KEEPS_SESSIONS: Final = ("persistence true",)
"""The counter's session, so that it misses nothing while the broker restarts."""


class ContenderFailed(Exception):
    """A contender did not start, or ended."""


@dataclass(frozen=True, slots=True)
class Rig:
    """What a measure works with."""

    load: Load
    process: Process
    broker: Broker
    start_seconds: float
    """From the contender's start to its subscription."""
    folder: Path
    """The contender's own."""

    def stop_broker(self) -> None:
        """End the broker; what it holds for the counter is kept."""
        asyncio.run(self.broker.stop())

    def start_broker(self) -> None:
        """Start it again, and count on."""
        asyncio.run(self.broker.start())
        _connect_counter(self.load)

    def check(self) -> None:
        """Raise ContenderFailed where the contender is no more."""
        if self.process.ended:
            raise ContenderFailed(f"it ended: {self.process.log.read_text(errors='replace')[-2000:]}")


@contextmanager
def rig(
    contender: Contender,
    core: int | None,
    *,
    http: bool = False,
    keep: bool = False,
    batch: Batch = webhooks.batch,
) -> Iterator[Rig]:
    """A contender that has subscribed and delivered a first webhook.

    Args:
        contender: whom to start.
        core: the core that it may use; None: any.
        http: whether it delivers to the HTTP server instead of the broker.
        keep: whether the broker will be restarted.
        batch: makes the webhooks.

    Raises:
        ContenderFailed: it doesn't subscribe or deliver.
    """
    with ExitStack() as stack:
        RUNS.mkdir(parents=True, exist_ok=True)
        name = stack.enter_context(tempfile.TemporaryDirectory(dir=RUNS))
        folder = Path(name)
        broker = Broker(folder, *(KEEPS_SESSIONS if keep else ()))
        asyncio.run(broker.start())
        stack.callback(lambda: asyncio.run(broker.stop()))
        load = Load(broker.port, keep=keep, batch=batch)
        stack.callback(load.close)
        _connect_counter(load)
        place = _place(folder / "contender", load, broker, http)
        process, seconds = _start(contender, place, load, core, stack)
        running = Rig(load, process, broker, seconds, place.folder)
        _first_webhook(running)
        try:
            yield running
        finally:
            running.check()  # whatever a measure stumbled over, that the contender ended is why


def _connect_counter(load: Load) -> None:
    load.subscriber.connect()
    if not load.wait(lambda: load.subscriber.ready, 10):
        raise RuntimeError("the broker does not confirm the counter's subscription")


def _place(folder: Path, load: Load, broker: Broker, http: bool) -> Place:
    folder.mkdir()
    return Place(folder, load.relay.url, broker.port, load.sink.url if http else None)


def _start(
    contender: Contender, place: Place, load: Load, core: int | None, stack: ExitStack
) -> tuple[Process, float]:
    command = contender.command(place)
    started = time.monotonic()
    log = place.folder / "output.log"
    process = stack.enter_context(Process(command.argv, command.environment, log, core))
    load.wait(lambda: load.relay.subscriber is not None or process.ended, START_SECONDS)
    seconds = time.monotonic() - started
    if load.relay.subscriber is None:
        raise ContenderFailed(f"it does not subscribe: {log.read_text(errors='replace')[-2000:]}")
    return process, seconds


def _first_webhook(running: Rig) -> None:
    """Send until one arrives: a contender may subscribe before it is connected to the broker."""
    load = running.load
    deadline = time.monotonic() + START_SECONDS
    while not load.tally.seen:
        running.check()
        if time.monotonic() > deadline:
            raise ContenderFailed("it delivers nothing")
        load.send(1)
        load.wait(lambda: load.tally.seen > 0, 0.25)
    load.rest(0.5)
    load.tally.restart()
