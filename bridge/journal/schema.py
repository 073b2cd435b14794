"""The journal's tables, and how an older file becomes a current one."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from bridge.errors import JournalError, JournalNewer
from bridge.journal.database import JournalCorrupt, transaction

APPLICATION_ID = 0x52424A31
"""Marks a SQLite file as a journal, so that no foreign database is ever taken for one."""

Migration = Sequence[str]

MIGRATIONS: Sequence[Migration] = (
    (
        # A webhook is stored once; `refs` counts the deliveries and dead letters that need it.
        """CREATE TABLE webhooks (
            seq INTEGER PRIMARY KEY, refs INTEGER NOT NULL, frame BLOB NOT NULL)""",
        # `lane` is a hash of (target, order key): an index over their text would cost bytes.
        """CREATE TABLE deliveries (
            seq INTEGER PRIMARY KEY, lane INTEGER NOT NULL, webhook INTEGER NOT NULL,
            size INTEGER NOT NULL, record BLOB NOT NULL)""",
        "CREATE INDEX deliveries_by_lane ON deliveries (lane)",
        """CREATE TABLE dead (
            id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL UNIQUE, webhook INTEGER NOT NULL,
            target TEXT NOT NULL, route TEXT NOT NULL, code TEXT NOT NULL, at REAL NOT NULL,
            size INTEGER NOT NULL, record BLOB NOT NULL)""",
        # Rows whose checksum is wrong, kept for whoever wants to look.
        """CREATE TABLE quarantine (
            id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, seq INTEGER NOT NULL,
            record BLOB, frame BLOB)""",
        # Many keys to a row, a sixth of the bytes of one each; `id` is the number of keys up to its end.
        "CREATE TABLE dedupe (id INTEGER PRIMARY KEY, at REAL NOT NULL, record BLOB NOT NULL)",
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        # One row per start of the process: what its monotonic clock means in wall-clock time.
        "CREATE TABLE sessions (id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    ),
)


def check_version(db: sqlite3.Connection) -> None:
    """Writes nothing; passes for an empty file and for any schema that `migrate` can bring up to date.

    Raises:
        JournalNewer: it is newer than this program.
        JournalCorrupt: it is a journal, but its header says otherwise.
        JournalError: the file is some other program's database.
    """
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    owner = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables, ours = db.execute(
        "SELECT count(*), sum(name = 'deliveries_by_lane') FROM sqlite_schema"
    ).fetchone()
    if tables and owner != APPLICATION_ID:
        if ours:
            raise JournalCorrupt("the header of the journal's file is damaged")
        raise JournalError("the file is a database, but not a journal")
    if found > len(MIGRATIONS):
        raise JournalNewer(f"the journal has schema {found}, this version knows {len(MIGRATIONS)}")


def migrate(db: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Brings the tables up to date, all steps in one transaction."""
    current = int(db.execute("PRAGMA user_version").fetchone()[0])
    if current >= len(migrations):
        return
    with transaction(db):
        for step in migrations[current:]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(migrations)}")


def verify(db: sqlite3.Connection) -> None:
    """Finds the damage that no row's checksum can: in the schema, and in the index that lanes are read by.

    Raises:
        JournalCorrupt: it is there.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        migrate(model)
        if _definitions(db) != _definitions(model):
            raise JournalCorrupt("the schema is damaged")
    result = db.execute("PRAGMA integrity_check(deliveries)").fetchone()[0]
    if result != "ok":
        raise JournalCorrupt(str(result))


def _definitions(db: sqlite3.Connection) -> list[tuple[str, str]]:
    return db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
