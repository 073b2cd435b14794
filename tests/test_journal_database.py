import errno
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bridge.errors import JournalBusy, JournalError, JournalFull
from bridge.journal.database import PAGE_SIZE, JournalCorrupt, connect, transaction, translated


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "a.db", max_bytes=200 * PAGE_SIZE, check=lambda _: None)) as db:
        yield db


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("locking_mode", "exclusive"),
        ("page_size", PAGE_SIZE),
        ("secure_delete", 0),
    ],
)
def test_the_settings_that_durability_and_wear_depend_on(
    db: sqlite3.Connection, setting: str, value: str | int
) -> None:
    db.execute("CREATE TABLE t (x)")
    assert db.execute(f"PRAGMA {setting}").fetchone() == (value,)


def test_a_transaction_is_all_or_nothing(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE t (x)")
    with transaction(db):
        db.execute("INSERT INTO t VALUES (2)")
    with suppress(ZeroDivisionError), transaction(db):
        db.execute("INSERT INTO t VALUES (1)")
        raise ZeroDivisionError
    assert not db.in_transaction
    assert db.execute("SELECT x FROM t").fetchall() == [(2,)]


def test_a_file_at_its_limit_is_full(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE t (x)")
    with pytest.raises(JournalFull), translated():
        db.execute("INSERT INTO t VALUES (zeroblob(1000000))")


def test_garbage_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    path.write_bytes(b"not a database " * 1000)
    with pytest.raises(JournalCorrupt):
        connect(path, max_bytes=1 << 20, check=lambda _: None)


def test_a_file_that_another_has_open_is_busy(db: sqlite3.Connection, tmp_path: Path) -> None:
    db.execute("CREATE TABLE t (x)")
    with pytest.raises(JournalBusy):
        connect(tmp_path / "a.db", max_bytes=1 << 20, check=lambda _: None)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, JournalFull), (errno.EDQUOT, JournalFull), (errno.EROFS, JournalError)],
)
def test_errors_of_the_file_system_are_ours(number: int, kind: type[JournalError]) -> None:
    with pytest.raises(JournalError) as caught, translated():
        raise OSError(number, "no")
    assert type(caught.value) is kind


def test_other_errors_of_the_database_are_ours_too() -> None:
    with (
        pytest.raises(JournalError, match=r"SQLITE_ERROR"),
        translated(),
        closing(sqlite3.connect(":memory:")) as db,
    ):
        db.execute("nonsense")
