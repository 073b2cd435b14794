"""The tables of the relay's log: SQLite, synchronous, for one thread."""

import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bridge.selfhosted.history import Found, Frame, Origin, Outcome, Query
from bridge.selfhosted.webhooks import is_exact, plain_text
from bridge.selfhosted.wire import payload_of, text_frame

OVERHEAD: Final = 300
"""Bytes that a frame takes on disk beside its text, roughly: its row, its indexes and its ID."""

Reader = tuple[str, str, int]
"""A token's key, a bucket's ID, and the position that one of its subscribers got to."""

_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS frames (
    position INTEGER PRIMARY KEY, bucket TEXT NOT NULL, wire BLOB NOT NULL,
    id TEXT NOT NULL, created REAL NOT NULL, path TEXT NOT NULL, address TEXT NOT NULL,
    internal INTEGER NOT NULL, status TEXT NOT NULL DEFAULT '', status_code INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0, duration_ms INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS by_id ON frames (id)",
    "CREATE INDEX IF NOT EXISTS by_bucket ON frames (bucket, created)",
    """CREATE TABLE IF NOT EXISTS readers (
    token TEXT NOT NULL, bucket TEXT NOT NULL, position INTEGER NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value REAL NOT NULL)",
)
_COMPLETE: Final = "complete_since"


class Tables:
    """The log behind one connection, bounded in bytes and age.

    Args:
        path: the database; created where it isn't there.
        most_bytes: of frames.
        longest: seconds for which a frame is kept.
        now: Unix time in seconds; a log that is created is complete since then.

    Raises:
        sqlite3.Error: it can't be used; another process may have it.
    """

    def __init__(self, path: Path, *, most_bytes: int, longest: float, now: float) -> None:
        self._most_bytes = most_bytes
        self._longest = longest
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            self._set_up(now)
        except BaseException:
            self._db.close()
            raise

    def _set_up(self, now: float) -> None:
        for name, value in (("locking_mode", "EXCLUSIVE"), ("journal_mode", "WAL"), ("synchronous", "FULL")):
            self._db.execute(f"PRAGMA {name} = {value}")
        for statement in _SCHEMA:
            self._db.execute(statement)
        self._db.execute("INSERT OR IGNORE INTO marks VALUES (?, ?)", (_COMPLETE, now))
        self._bytes = int(self._one("SELECT coalesce(sum(length(wire) + ?), 0) FROM frames", OVERHEAD))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Writing

    def commit(
        self,
        frames: Collection[Frame],
        readers: Collection[Reader] | None,
        now: float,
        hole: float = 0.0,
        outcomes: Mapping[str, Outcome] = MappingProxyType({}),
    ) -> None:
        """Make frames durable, and the readers where they are given; let go of what has no room.

        Args:
            frames: in their order.
            readers: all of them; None where nothing has changed.
            now: Unix time in seconds.
            hole: Unix time until which something may be missing, since a commit failed.
            outcomes: what became of these frames or earlier ones, by their IDs.
        """
        before = self._bytes
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._insert(frames)
            self._note(outcomes)
            if readers is not None:
                self._db.execute("DELETE FROM readers")
                self._db.executemany("INSERT INTO readers VALUES (?, ?, ?)", readers)
            self._trim(now)
            self._complete_from(hole)
            self._db.execute("COMMIT")
        except BaseException:
            self._bytes = before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _insert(self, frames: Collection[Frame]) -> None:
        rows = ((f.position, f.bucket_id, _kept(f), *_said(f.origin), f.internal) for f in frames)
        self._db.executemany(
            "INSERT INTO frames (position, bucket, wire, id, created, path, address, internal)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        self._bytes += sum(len(_kept(one)) + OVERHEAD for one in frames)

    def _note(self, outcomes: Mapping[str, Outcome]) -> None:
        rows = (
            (one.status, one.status_code, one.retries, one.duration_ms, log_id)
            for log_id, one in outcomes.items()
        )
        self._db.executemany(
            "UPDATE frames SET status = ?, status_code = ?, retries = ?, duration_ms = ? WHERE id = ?", rows
        )

    def _trim(self, now: float) -> None:
        last, until = 0, 0.0
        oldest = self._db.execute("SELECT position, created, length(wire) FROM frames ORDER BY position")
        for position, created, size in oldest:
            if self._bytes <= self._most_bytes and created >= now - self._longest:
                break
            last, until = position, max(until, created)
            self._bytes -= size + OVERHEAD
        oldest.close()
        if last:
            self._db.execute("DELETE FROM frames WHERE position <= ?", (last,))
            self._complete_from(until)

    def _complete_from(self, moment: float) -> None:
        self._db.execute("UPDATE marks SET value = max(value, ?) WHERE name = ?", (moment, _COMPLETE))

    # Reading

    @property
    def complete_since(self) -> float:
        """Unix time since which every frame is here."""
        return float(self._one("SELECT value FROM marks WHERE name = ?", _COMPLETE))

    @property
    def last_position(self) -> int:
        """The highest position that was ever seen by anybody."""
        highest = ("SELECT max(position) FROM frames", "SELECT max(position) FROM readers")
        return max(int(self._one(statement) or 0) for statement in highest)

    def readers(self) -> list[Reader]:
        """How far each subscriber got."""
        return list(self._db.execute("SELECT token, bucket, position FROM readers"))

    def newest(self, since: float, most_frames: int, most_bytes: int) -> list[Frame]:
        """The newest frames within bounds, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM frames WHERE created >= ? ORDER BY position DESC LIMIT ?", (since, most_frames)
        )
        found: list[Frame] = []
        size = 0
        for row in rows:
            frame = _frame(row)
            size += frame.size
            if size > most_bytes:
                break
            found.append(frame)
        rows.close()
        return found[::-1]

    def select(self, query: Query) -> Found:
        """The frames that are asked for."""
        places = ", ".join("?" * len(query.bucket_ids))
        rows = self._db.execute(
            f"SELECT * FROM frames WHERE bucket IN ({places})"  # noqa: S608  # question marks only
            " AND created BETWEEN ? AND ? AND position > ? ORDER BY position LIMIT ?",
            (*query.bucket_ids, query.start, query.end, query.after, query.limit + 1),
        )
        try:
            return query.taken(map(_frame, rows))
        finally:
            rows.close()

    def find(self, log_id: str) -> Frame | None:
        """A frame by its ID."""
        row = self._db.execute("SELECT * FROM frames WHERE id = ?", (log_id,)).fetchone()
        return row and _frame(row)

    def _one(self, statement: str, *values: object) -> Any:
        return self._db.execute(statement, values).fetchone()[0]


def _kept(frame: Frame) -> bytes:
    """The one of a frame's forms that the other follows from."""
    return frame.exact or frame.wire


def _said(origin: Origin) -> tuple[str, float, str, str]:
    return origin.id, origin.created, origin.path, origin.address


def _frame(row: tuple[Any, ...]) -> Frame:
    position, bucket_id, kept, log_id, created, path, address, internal, *reported = row
    wire, exact = kept, b""
    if is_exact(kept):
        wire, exact = text_frame(plain_text(payload_of(kept))), kept
    origin = Origin(log_id, created, path, address)
    outcome = Outcome(*reported) if reported[0] else None
    return Frame(position, 0.0, bucket_id, wire, origin, exact, bool(internal), outcome)
