"""SQLite as the journal uses it: settings, transactions, and its errors in our terms."""

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bridge.errors import JournalBusy, JournalError, JournalFull

PAGE_SIZE = 1024
"""Bytes. A commit writes whole pages: small ones halve what a webhook of 1 KB costs an SD card."""
CHECKPOINT = 256
"""Pages in the log before they are copied back: a short log leaves room on a full disk."""
LOG_LIMIT = 4 * 1024 * 1024
"""Bytes to which the log shrinks after a huge commit."""


class JournalCorrupt(JournalError):
    """The database is damaged beyond what a checksum can say of one row."""


def connect(path: Path, *, max_bytes: int, check: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """Opens the database for this thread alone; `check` sees it before anything is written.

    Raises:
        JournalError: it can't be used; see `translated`.
    """
    with translated():
        db = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            db.text_factory = lenient
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            check(db)
            _configure(db, max_bytes)
        except BaseException:
            db.close()
            raise
        return db


def lenient(text: bytes) -> str:
    """Text of a column; where a flipped bit made text of something else, its checksum tells."""
    return text.decode("utf-8", "replace")


def _configure(db: sqlite3.Connection, max_bytes: int) -> None:
    db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise JournalError(f"the journal's file system allows no write-ahead log, only {mode!r}")
    db.execute("PRAGMA synchronous = FULL")  # NORMAL loses acknowledged rows in a power cut
    db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
    db.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT}")
    db.execute("PRAGMA secure_delete = OFF")  # zeroes in freed pages are writes, too
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("PRAGMA cell_size_check = ON")
    db.execute(f"PRAGMA max_page_count = {max_bytes // PAGE_SIZE}")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            with suppress(sqlite3.Error):  # the first error tells more than a failed rollback
                db.execute("ROLLBACK")
        raise


@contextmanager
def translated() -> Iterator[None]:
    """Turns errors of SQLite and of the file system into ours.

    Raises:
        JournalFull: the disk is full, or the file is at its limit.
        JournalCorrupt: the file is damaged.
        JournalBusy: another process has it open.
        JournalError: anything else, such as EIO or a read-only file system.
    """
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        kind = _KINDS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, JournalError)
        raise kind(f"{error} ({name})") from error
    except UnicodeDecodeError as error:  # SQLite's message quotes a damaged schema
        raise JournalCorrupt("the schema is damaged") from error
    except OSError as error:
        kind = JournalFull if error.errno in _NO_ROOM else JournalError
        raise kind(str(error)) from error


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_KINDS: dict[int, type[JournalError]] = {
    sqlite3.SQLITE_FULL: JournalFull,
    sqlite3.SQLITE_CORRUPT: JournalCorrupt,
    sqlite3.SQLITE_NOTADB: JournalCorrupt,
    sqlite3.SQLITE_BUSY: JournalBusy,
    sqlite3.SQLITE_LOCKED: JournalBusy,
}
