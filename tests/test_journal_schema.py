import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.errors import JournalError, JournalNewer
from bridge.journal.schema import APPLICATION_ID, MIGRATIONS, check_version, migrate


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
