"""The tables of the relay's log: SQLite, synchronous, for one thread."""

import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from bridge.selfhosted.history import Found, Frame, Origin, Outcome, Query
from bridge.selfhosted.vault import Plain, Vault, VaultError, admit
from bridge.selfhosted.webhooks import is_exact, plain_text
from bridge.selfhosted.wire import payload_of, text_frame

logger = logging.getLogger(__name__)

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
        vault: seals what came of a webhook.

    Raises:
        sqlite3.Error: it can't be used; another process may have it.
        VaultError: it was made with another key.
    """

    def __init__(
        self, path: Path, *, most_bytes: int, longest: float, now: float, vault: Vault | None = None
    ) -> None:
        self._most_bytes = most_bytes
        self._longest = longest
        self._vault = vault or Plain()
        self._unreadable = 0
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            self._set_up(now)
        except BaseException:
            self._db.close()
            raise

    def _set_up(self, now: float) -> None:
        for name, value in (("locking_mode", "EXCLUSIVE"), ("journal_mode", "WAL"), ("synchronous", "FULL")):
            self._db.execute(f"PRAGMA {name} = {value}")
        admit(self._db, self._vault)
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
        rows = [self._row(one) for one in frames]
        self._db.executemany(
            "INSERT INTO frames (position, bucket, wire, id, created, path, address, internal)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        self._bytes += sum(len(row[2]) + OVERHEAD for row in rows)

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
        for frame in self._frames(rows):
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
            return query.taken(self._frames(rows))
        finally:
            rows.close()

    def find(self, log_id: str) -> Frame | None:
        """A frame by its ID."""
        rows = self._db.execute("SELECT * FROM frames WHERE id = ?", (log_id,)).fetchall()
        return next(self._frames(rows), None)

    def _row(self, frame: Frame) -> tuple[Any, ...]:
        """A frame as it is inserted. A vault hides what its request said: the content, path and address."""
        position, bucket_id, origin, internal = frame.position, frame.bucket_id, frame.origin, frame.internal
        kept, path, address = _kept(frame), origin.path, origin.address
        if self._vault.is_locked:
            place = _place(position, bucket_id, origin.id, origin.created, internal)
            kept = self._vault.seal(orjson.dumps([path, address]) + b"\n" + kept, place)
            path = address = ""
        return position, bucket_id, kept, origin.id, origin.created, path, address, internal

    def _frames(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Frame]:
        """The frames of rows, but for those that were changed by somebody."""
        for row in rows:
            try:
                yield _frame(row, self._vault)
            except VaultError as error:
                if not self._unreadable:
                    logger.error("webhook %a of the log is left out: %s", row[3], error)  # noqa: TRY400  # ours
                self._unreadable += 1

    def _one(self, statement: str, *values: object) -> Any:
        return self._db.execute(statement, values).fetchone()[0]


def _kept(frame: Frame) -> bytes:
    """The one of a frame's forms that the other follows from."""
    return frame.exact or frame.wire


def _place(position: int, bucket_id: str, log_id: str, created: float, internal: int) -> str:
    """What a sealed row belongs to: with other values beside it, it can't be opened."""
    return f"frame {position} {bucket_id} {log_id} {created!r} {internal:d}"


def _frame(row: tuple[Any, ...], vault: Vault) -> Frame:
    position, bucket_id, kept, log_id, created, path, address, internal, *reported = row
    if vault.is_locked:
        opened = vault.open(kept, _place(position, bucket_id, log_id, created, internal))
        said, _, kept = opened.partition(b"\n")
        path, address = orjson.loads(said)
    wire, exact = kept, b""
    if is_exact(kept):
        wire, exact = text_frame(plain_text(payload_of(kept))), kept
    origin = Origin(log_id, created, path, address)
    outcome = Outcome(*reported) if reported[0] else None
    return Frame(position, 0.0, bucket_id, wire, origin, exact, bool(internal), outcome)
