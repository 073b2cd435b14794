"""A bridge's journal and dispatcher, killed again and again, and what came of each delivery.

Run as `python -m tests.chaos.journal_kills FOLDER SEED CYCLES [POINT …]`. A warm process forks a child for
each cycle and kills it at a random moment, or has it die at a named point. All work on one journal and tell
one log what they do. A last child delivers the rest; the log is judged, and the figures printed as JSON.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random

from bridge.counters import Counts
from bridge.crashpoint import arm, crash_at
from bridge.delivery.dispatcher import Dispatcher, Limits
from bridge.delivery.retry import Retry
from bridge.journal.batch import Committed
from bridge.journal.journal import Journal
from bridge.message import DELIVERED, Delivery, Failure, FailureKind, MqttMessage, Result
from bridge.routing.table import Plan
from tests.chaos.journal_judge import Figures, Judge
from tests.support.deliveries import ScriptedTarget, webhook
from tests.support.journal import MIB
from tests.support.waiting import eventually

MQTT, HTTP = "mqtt:home", "http:nodered"
LIMITS = Limits(linger=0.003, held_bytes=200_000)
RETRY = Retry(attempts=1_000_000, first=0.002, longest=0.005)
LONGEST_LIFE = 0.1
"""Seconds until the kill."""
UNBORN = 0.2
"""Part of the lives that are counted from the fork: the start is hit as well."""
PATIENCE = 60.0
"""Seconds."""
BACKLOG = 150
"""Deliveries that are owed before a child takes no more webhooks."""


class Teller:
    """Writes lines to the log, each at once: what was told before the kill stays told."""

    def __init__(self, log: int) -> None:
        self._log = log

    def __call__(self, word: str, deliveries: Iterable[Delivery]) -> None:
        for_each = (f"{word} {one.target} {one.order_key} {one.webhook.text}\n" for one in deliveries)
        os.write(self._log, "".join(for_each).encode())

    def line(self, text: str) -> None:
        os.write(self._log, f"{text}\n".encode())


class TellingJournal(Journal):
    """Tells what is durable."""

    tell: Teller

    def add(self, deliveries: Sequence[Delivery], committed: Committed | None = None) -> None:
        def accepted(which: Sequence[Delivery]) -> None:
            self.tell("accepted", which)
            if committed is not None:
                committed(which)

        self.tell("handed", deliveries)  # it may be durable from now on
        super().add(deliveries, accepted)

    def remove(self, delivery: Delivery) -> None:
        stored = delivery.journaled
        super().remove(delivery)
        if stored:
            self._when_durable("removed", delivery)

    def bury(self, delivery: Delivery, code: str, reason: str) -> None:
        super().bury(delivery, code, reason)
        self._when_durable("buried", delivery)

    def _when_durable(self, word: str, delivery: Delivery) -> None:
        self._writer.pending.committed.append(([delivery], lambda which: self.tell(word, which)))


class SlowTarget(ScriptedTarget):
    """Takes deliveries in their order and in its own time: first it has them, later it says so."""

    def __init__(self, name: str, tell: Teller, chance: Random, *, window: int, lane_window: int) -> None:
        super().__init__(name, self._verdict, window=window, lane_window=lane_window)
        self._tell = tell
        self._chance = chance
        self._arrives = self._answers = 0.0

    def _verdict(self, delivery: Delivery) -> Result:
        if int(delivery.webhook.text) % 23 == 0:
            return Failure(FailureKind.PERMANENT, "http-400", "no")
        if self.lane_window == 1 and self._chance.random() < 0.1:
            return Failure(FailureKind.BUSY, "http-503", "later")
        return DELIVERED

    def send(self, delivery: Delivery) -> None:
        assert self.capacity() > 0
        self._tell("sent", [delivery])
        crash_at("target.claimed")
        self.in_flight += 1
        self._arrives = max(self._arrives + 1e-6, self._soon())
        self._loop.call_at(self._arrives, self._arrive, delivery)

    def _arrive(self, delivery: Delivery) -> None:
        result = self.answer(delivery)
        if result == DELIVERED:
            self._tell("received", [delivery])
        crash_at("target.unacknowledged")
        self._answers = max(self._answers + 1e-6, self._soon())
        self._loop.call_at(self._answers, self._answer, delivery, result)

    def _answer(self, delivery: Delivery, result: Result) -> None:
        assert self.listener is not None
        self._tell("answered", [delivery])
        crash_at("target.unmarked")
        self.in_flight -= 1
        self.listener.finished(delivery, result)

    def _soon(self) -> float:
        return self._loop.time() + self._chance.choice((0.0, 0.001, 0.008)) * self._chance.random()


class Life:
    """What a child does until it dies."""

    def __init__(self, path: Path, log: int, first: int, seed: int) -> None:
        self._path = path
        self._tell = Teller(log)
        self._number = first
        self._chance = Random(seed)

    async def run(self, seconds: float) -> None:
        """Takes webhooks for so long, then ends in order, with everything delivered."""
        TellingJournal.tell = self._tell
        journal = await TellingJournal.open(self._path, max_bytes=64 * MIB)
        dispatcher = Dispatcher(journal, Counts(), limits=LIMITS)
        targets = [
            SlowTarget(MQTT, self._tell, self._chance, window=10, lane_window=4),
            SlowTarget(HTTP, self._tell, self._chance, window=4, lane_window=1),
        ]
        for target in targets:
            target.listener = dispatcher
        await dispatcher.recover()
        dispatcher.use({target.name: (target, RETRY) for target in targets})
        await self._take(dispatcher, seconds)
        await eventually(lambda: not any(dispatcher.owed().values()), 60)
        await dispatcher.stop()
        self._tell.line(f"dead {json.dumps([await dead_letters(journal)])}")
        await journal.close()

    async def _take(self, dispatcher: Dispatcher, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if sum(dispatcher.owed().values()) < BACKLOG:
                for _ in range(self._chance.randint(1, 8)):
                    self._accept(dispatcher)
            await asyncio.sleep(self._chance.choice((0.0, 0.005)) * self._chance.random())

    def _accept(self, dispatcher: Dispatcher) -> None:
        self._tell.line(f"offered {self._number}")
        key = self._chance.choice((None, "a", "b"))
        names = self._chance.choice(((MQTT,), (HTTP,), (MQTT, HTTP)))
        plans = [Plan("route", name, key, MqttMessage("a/b"), None, None, scope=name) for name in names]
        dispatcher.accept(webhook(b"%d" % self._number, id=f"log-{self._number}"), plans, 1)
        self._number += 1


async def dead_letters(journal: Journal) -> list[str]:
    """All of them, as the log names deliveries."""
    found: list[str] = []
    last = 0
    while letters := await journal.dead(after=last, limit=1000):
        last = letters[-1].id
        for letter in letters:
            exhumed = await journal.exhume(letter.id)
            assert exhumed is not None
            found.append(f"{letter.target} {letter.order_key} {exhumed[0].text}")
    return found


class Killer:
    """The warm parent."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._path = folder / "journal.db"
        self._log_path = folder / "log"
        self._log = os.open(self._log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._chance = Random(seed)
        self._judge = Judge()
        self._read = 0
        self.figures = self._judge.figures

    def cycle(self) -> None:
        """One child, killed at a random moment."""
        child = self._fork(PATIENCE, "")
        if self._chance.random() > UNBORN:
            self._at_work()
        time.sleep(self._chance.uniform(0, LONGEST_LIFE))
        os.kill(child, signal.SIGKILL)
        self._end(child)

    def _at_work(self) -> None:
        """Returns once the child tells what it does, which takes a while on a busy machine."""
        silence = os.fstat(self._log).st_size
        deadline = time.monotonic() + PATIENCE
        while os.fstat(self._log).st_size == silence:
            assert time.monotonic() < deadline, "a child did nothing"
            time.sleep(0.001)

    def die_at(self, point: str) -> None:
        """One child that dies at a named point."""
        if self._end(self._fork(0.3, point)) != signal.SIGKILL:
            self.figures.survivors.append(point)

    def finish(self) -> Figures:
        """A last child delivers what is owed."""
        assert self._end(self._fork(0.0, "")) == 0
        return self._judge.verdict()

    def _fork(self, seconds: float, point: str) -> int:
        os.write(self._log, b"life\n")
        child = os.fork()
        if child:
            return child
        try:
            arm(point)
            life = Life(self._path, self._log, self.figures.offered, self._chance.randrange(1 << 32))
            asyncio.run(life.run(seconds))
        except BaseException:  # noqa: BLE001  # whatever it is, a forked child ends here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def _end(self, child: int) -> int:
        """Waits for a child and reads what it told; the signal that ended it, or 0."""
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "a child failed"
        self.figures.cycles += 1
        self.figures.killed += os.WIFSIGNALED(status)
        with self._log_path.open() as log:
            log.seek(self._read)
            for line in log.read().splitlines():
                self._judge.read(line)
            self._read = log.tell()
        return os.WTERMSIG(status)


def main(folder: str, seed: str, cycles: str, *points: str) -> None:
    """See the module."""
    logging.basicConfig(level=logging.ERROR)
    killer = Killer(Path(folder), int(seed))
    for _ in range(int(cycles)):
        killer.cycle()
    for point in points:
        killer.die_at(point)
    print(json.dumps(asdict(killer.finish())))  # noqa: T201  # the answer to whoever started it


if __name__ == "__main__":
    main(*sys.argv[1:])
