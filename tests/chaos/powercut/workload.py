"""A child that uses a journal at random, and marks what it asks for and what is confirmed.

Arguments: the log's descriptor, the journal's path, a seed, and the way in which the journal is broken ("":
it is sound). A broken one proves that the harness would notice.
"""

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from bridge.journal import database, keeper, store
from bridge.journal.batch import Batch
from bridge.journal.journal import Journal
from bridge.journal.writer import Writer
from bridge.message import Delivery
from tests.chaos.powercut.contents import MAX_BYTES, NOTE, made
from tests.chaos.powercut.recording import mark
from tests.support.journal import FAR

STEPS = 120


class Clerk:
    """Works on a journal, step by step."""

    def __init__(self, journal: Journal, log_fd: int, chance: Random) -> None:
        self.journal = journal
        self._log_fd = log_fd
        self._chance = chance
        self._seq = 0
        self._fresh: dict[int, Delivery] = {}
        self._stored: dict[int, Delivery] = {}

    def _tell(self, word: str, *about: object) -> None:
        mark(self._log_fd, json.dumps([word, *about]))

    async def recover(self) -> None:
        self._seq = await self.journal.next_seq()
        for lane in await self.journal.lanes():
            for row in await self.journal.read(lane.target, lane.order_key, 0, FAR, 1_000_000):
                self._stored[row.seq] = row

    async def work(self, steps: int) -> None:
        acts: dict[Callable[[], Awaitable[None]], int] = {
            self._add: 36,
            self._cancel: 5,
            self._remove: 30,
            self._bury: 6,
            self._bury_unstored: 2,
            self._update: 8,
            self._put: 4,
            self._discard: 4,
            self._flush: 15,
            self._pause: 8,
            self._maintain: 1,
        }
        for act in self._chance.choices([*acts], [*acts.values()], k=steps):
            await act()

    def _made(self) -> list[Delivery]:
        """One webhook for one or more targets."""
        webhook_seq = self._seq
        count = self._chance.choice((1, 1, 2, 3))
        self._seq += count
        return [made(webhook_seq + n, webhook_seq) for n in range(count)]

    def _some(self, most: int) -> list[Delivery]:
        """Stored deliveries, or now and then one that waits to be committed; they leave."""
        kind = self._fresh if self._fresh and self._chance.random() < 0.2 else self._stored
        chosen = self._chance.sample(sorted(kind), min(len(kind), self._chance.randint(1, most)))
        return [kind.pop(seq) for seq in chosen]

    async def _add(self) -> None:
        for _ in range(self._chance.randint(1, 6)):
            new = self._made()
            self._tell("add", *(one.seq for one in new))
            self._fresh |= {one.seq: one for one in new}
            self.journal.add(new, self._committed)

    def _committed(self, deliveries: Sequence[Delivery]) -> None:
        self._tell("committed", *(one.seq for one in deliveries))
        for one in deliveries:
            if self._fresh.pop(one.seq, None):
                self._stored[one.seq] = one

    async def _cancel(self) -> None:
        new = self._made()
        self._tell("add", *(one.seq for one in new))
        self.journal.add(new)
        for one in new:
            self._tell("remove", one.seq, False)
            self.journal.remove(one)

    async def _remove(self) -> None:
        for one in self._some(10):
            remember = self._chance.random() < 0.5
            self._tell("remove", one.seq, remember)
            if remember:
                self.journal.remember(one.digests)
            self.journal.remove(one)

    async def _bury(self) -> None:
        for one in self._some(2):
            self._tell("bury", one.seq)
            self.journal.bury(one, "code", "reason")

    async def _bury_unstored(self) -> None:
        for one in self._made():
            self._tell("bury", one.seq)
            self.journal.bury(one, "render", "reason")

    async def _update(self) -> None:
        for seq in self._chance.sample(sorted(self._stored), min(len(self._stored), 3)):
            one = self._stored[seq]
            self._tell("update", seq)
            one.attempts += 1
            self.journal.update(one)

    async def _put(self) -> None:
        value = int(await self.journal.get(NOTE) or 0) + 1
        self._tell("put", value)
        self.journal.put(NOTE, str(value).encode())

    async def _discard(self) -> None:
        letters = await self.journal.dead(limit=3)
        for letter in letters:
            self._tell("discard", letter.seq)
        await self.journal.discard([letter.id for letter in letters])
        self._tell("flushed")

    async def _flush(self) -> None:
        await self.journal.flush()
        self._tell("flushed")

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.03))

    async def _maintain(self) -> None:
        await self.journal._writer.maintain()


async def main(log_fd: int, path: Path, seed: int) -> None:
    """Several sessions: most end in order, the last one doesn't."""
    chance = Random(seed)
    _vary(chance)
    sessions = chance.randint(1, 3)
    for session in range(sessions):
        journal = await Journal.open(path, max_bytes=MAX_BYTES)
        clerk = Clerk(journal, log_fd, chance)
        await clerk.recover()
        await clerk.work(STEPS // sessions)
        if session < sessions - 1:
            await journal.close()
            mark(log_fd, json.dumps(["flushed"]))
    os._exit(0)


def _vary(chance: Random) -> None:
    """Makes rare things frequent: checkpoints, a log that shrinks, a file that is rewritten."""
    database.CHECKPOINT = chance.choice((16, 64, 256))
    database.LOG_LIMIT = chance.choice((0, 65_536, 4 * 1024 * 1024))
    store.SHRINK_FREE = chance.choice((16_384, 8 * 1024 * 1024))


def no_sync() -> None:
    """A mutant: commits that aren't synced."""
    connect = database.connect

    def careless(path: Path, **settings: Any) -> sqlite3.Connection:
        db = connect(path, **settings)
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    setattr(keeper, "connect", careless)  # noqa: B010  # mypy refuses the plain assignment


def early() -> None:
    """A mutant: what is on its way is called committed."""
    commit = Writer._commit

    async def hasty(self: Writer, batch: Batch) -> None:
        for deliveries, committed in batch.committed:
            committed(deliveries)
        batch.committed.clear()
        await commit(self, batch)

    setattr(Writer, "_commit", hasty)  # noqa: B010  # mypy refuses the plain assignment


MUTANTS = {"": lambda: None, "synchronous=NORMAL": no_sync, "committed too early": early}

if __name__ == "__main__":
    descriptor, journal_path, number, mutant = sys.argv[1:]
    MUTANTS[mutant]()
    asyncio.run(main(int(descriptor), Path(journal_path), int(number)))
