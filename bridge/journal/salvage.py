"""Saving the good rows of a damaged journal into a fresh one."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.journal.database import lenient, transaction
from bridge.journal.rows import DamagedRow, unseal

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """How many rows were saved."""

    deliveries: int
    dead: int


def salvage(damaged: Path, db: sqlite3.Connection) -> Salvaged:
    """Copies every row whose checksum is right, into an empty journal."""
    with closing(sqlite3.connect(damaged, isolation_level=None)) as old, transaction(db):
        old.text_factory = lenient
        with suppress(sqlite3.DatabaseError):
            old.execute("PRAGMA locking_mode = EXCLUSIVE")
        refs = _copy_webhooks(old, db)
        deliveries = _copy(db, "deliveries", _good_deliveries(old), refs)
        dead = _copy(db, "dead", _good_dead(old), refs)
        db.executemany("UPDATE webhooks SET refs = ? WHERE seq = ?", ((n, seq) for seq, n in refs.items()))
        db.execute("DELETE FROM webhooks WHERE refs = 0")
        _copy(db, "meta", _rows(old, "meta", "key, value"), refs)
        _copy(db, "dedupe", _rows(old, "dedupe", "id, at, record"), refs)
        _copy(db, "sessions", _rows(old, "sessions", "id, record"), refs)
    return Salvaged(deliveries, dead)


def _copy_webhooks(old: sqlite3.Connection, db: sqlite3.Connection) -> Counter[int]:
    refs: Counter[int] = Counter()
    for seq, frame in _rows(old, "webhooks", "seq, frame"):
        if _intact(frame, seq):
            db.execute("INSERT OR IGNORE INTO webhooks VALUES (?, 0, ?)", (seq, frame))
            refs[seq] = 0
    return refs


def _good_deliveries(old: sqlite3.Connection) -> Iterator[Row]:
    for row in _rows(old, "deliveries", "seq, lane, webhook, size, record"):
        seq, lane, webhook, size, record = row
        if _intact(record, seq, lane, webhook, size):
            yield row


def _good_dead(old: sqlite3.Connection) -> Iterator[Row]:
    for row in _rows(old, "dead", "id, seq, webhook, target, route, code, at, size, record"):
        _, seq, webhook, *_, size, record = row
        if _intact(record, seq, webhook, size):
            yield row


def _copy(db: sqlite3.Connection, table: str, rows: Iterator[Row], refs: Counter[int]) -> int:
    """Inserts rows; those that name a webhook only if it was saved."""
    webhook_at = 2 if table in {"deliveries", "dead"} else None
    count = 0
    for row in rows:
        if webhook_at is not None and row[webhook_at] not in refs:
            continue
        marks = ", ".join("?" * len(row))
        inserted = db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row).rowcount  # noqa: S608  # fixed names
        if inserted and webhook_at is not None:
            refs[row[webhook_at]] += 1
        count += inserted
    return count


def _rows(old: sqlite3.Connection, table: str, columns: str) -> Iterator[Row]:
    """The rows that can still be read: from the front up to the damage, then from the back."""
    key = columns.partition(",")[0]
    last = None
    for order in ("ASC", "DESC"):
        query = f"SELECT {columns} FROM {table} ORDER BY {key} {order}"  # noqa: S608  # fixed names
        # Only the damaged file's errors end here; those of whoever takes the rows don't pass this frame.
        with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
            for row in old.execute(query):
                if order == "DESC" and row[0] == last:
                    return
                last = row[0] if order == "ASC" else last
                yield row
            return


def _intact(row: object, *keys: int) -> bool:
    try:
        unseal(row, *keys)
    except DamagedRow:
        return False
    return True
