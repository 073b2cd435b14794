import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.errors import JournalError, JournalNewer
from bridge.journal.database import JournalCorrupt
from bridge.journal.schema import APPLICATION_ID, MIGRATIONS, check_version, migrate, verify


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        yield db


def version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def tables(db: sqlite3.Connection) -> set[str]:
    return {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def test_an_empty_file_becomes_a_journal(db: sqlite3.Connection) -> None:
    check_version(db)
    migrate(db)
    assert version(db) == len(MIGRATIONS)
    assert {"webhooks", "deliveries", "dead", "quarantine", "dedupe", "meta", "sessions"} <= tables(db)
    check_version(db)


def test_an_older_journal_gets_the_steps_it_lacks(db: sqlite3.Connection) -> None:
    migrate(db)
    db.execute("INSERT INTO meta VALUES ('key', x'00')")
    migrate(db, [*MIGRATIONS, ["CREATE TABLE more (x)"], ["CREATE TABLE most (x)"]])
    assert version(db) == len(MIGRATIONS) + 2
    assert {"more", "most"} <= tables(db)
    assert db.execute("SELECT count(*) FROM meta").fetchone() == (1,)


def test_a_step_that_fails_undoes_them_all(db: sqlite3.Connection) -> None:
    migrate(db)
    before = tables(db)
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, [*MIGRATIONS, ["CREATE TABLE more (x)"], ["no sql"]])
    assert tables(db) == before
    assert version(db) == len(MIGRATIONS)


def test_a_newer_journal_is_refused(db: sqlite3.Connection) -> None:
    migrate(db, [*MIGRATIONS, ["CREATE TABLE more (x)"]])
    with pytest.raises(JournalNewer, match=f"schema {len(MIGRATIONS) + 1}"):
        check_version(db)


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "home-assistant.db")) as db:
        db.execute("CREATE TABLE states (x)")
        with pytest.raises(JournalError, match="not a journal"):
            check_version(db)


def test_the_mark_is_set(db: sqlite3.Connection) -> None:
    migrate(db)
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_damaged_schema_is_found(db: sqlite3.Connection) -> None:
    migrate(db)
    verify(db)
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_schema SET sql = replace(sql, 'record', 'recorU') WHERE name = 'dedupe'")
    with pytest.raises(JournalCorrupt, match="schema"):
        verify(db)


def test_an_index_that_does_not_match_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate(db)
        db.execute("INSERT INTO deliveries VALUES (1, 77, 3, 4, x'00')")
        size = db.execute("PRAGMA page_size").fetchone()[0]
        root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'deliveries_by_lane'").fetchone()[
            0
        ]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        page = file.read(size)
        file.seek((root - 1) * size)
        file.write(page[:-4] + page[-4:].replace(b"\x4d", b"\x4c"))  # the lane, 77, in the only entry
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as db,
        pytest.raises(JournalCorrupt, match="index"),
    ):
        verify(db)


def test_a_damaged_header_does_not_make_it_someone_elses(db: sqlite3.Connection) -> None:
    migrate(db)
    db.execute("PRAGMA application_id = 5")
    with pytest.raises(JournalCorrupt, match="header"):
        check_version(db)
