"""A journal's store on a real file, in hand: clocks that go where they are told, rows tampered with."""

import sqlite3
from contextlib import closing
from pathlib import Path

from bridge.journal.batch import Batch, Burial
from bridge.journal.deadletters import DeadFilter
from bridge.journal.keeper import Keeper
from bridge.journal.store import Store, Tally, Usage
from bridge.message import Delivery

MIB = 1024 * 1024
FAR = 1 << 40


class Desk:
    """A store on a real file, its clocks in hand."""

    def __init__(self, path: Path, max_bytes: int = 64 * MIB) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.wall = 1.8e9
        self.monotonic = 100.0
        self.open()

    def open(self) -> None:
        self.tally = Tally()
        self.keeper = Keeper(
            self.path,
            max_bytes=self.max_bytes,
            wall=lambda: self.wall,
            monotonic=lambda: self.monotonic,
            tally=self.tally,
        )
        self.keeper.open()

    def close(self) -> None:
        self.keeper.close()

    def reopen(self) -> None:
        self.keeper.close()
        self.open()

    def tamper(self, statement: str, *values: object) -> None:
        """Changes the file behind the store's back."""
        self.keeper.close()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute(statement, values)
        self.open()

    def commit(self, batch: Batch) -> Usage:
        return self.keeper.attempt(Store.commit, batch)

    def add(self, *deliveries: Delivery) -> Usage:
        return self.commit(Batch(adds={one.seq: one for one in deliveries}))

    def remove(self, *deliveries: Delivery) -> Usage:
        return self.commit(Batch(removes={one.seq: one.webhook_seq for one in deliveries}))

    def bury(self, *deliveries: Delivery, code: str = "http-400", at: float | None = None) -> Usage:
        at = self.wall if at is None else at
        return self.commit(Batch(burials={one.seq: Burial(one, code, "no", at) for one in deliveries}))

    def seqs(self, target: str = "mqtt:home", key: str | None = "route") -> list[int]:
        return [one.seq for one in self.keeper.attempt(Store.read, target, key, 0, FAR, 10_000)[0]]

    def dead(self, **wanted: str | float) -> list[int]:
        found = self.keeper.attempt(Store.dead, DeadFilter(**wanted), 1000, 0)  # type: ignore[arg-type]  # by name
        return [letter.seq for letter in found]

    def count(self, table: str) -> int:
        """Rows of a table, read from a copy of the file as another program would."""
        self.keeper.close()
        with closing(sqlite3.connect(self.path)) as db:
            rows = int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # our own names
        self.open()
        return rows
