import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.errors import JournalBusy, JournalError, JournalFull, JournalNewer
from bridge.journal.database import JournalCorrupt
from bridge.journal.files import beside
from bridge.journal.store import Store
from tests.support.deliveries import delivery
from tests.support.journal import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "state" / "journal.db")
    yield desk
    desk.close()


def corrupt_files(desk: Desk) -> list[Path]:
    return [file for file in desk.path.parent.glob("*.corrupt-*") if not file.name.endswith("-wal")]


def test_files_are_for_nobody_else(desk: Desk) -> None:
    desk.add(delivery(1))
    assert stat.S_IMODE(desk.path.parent.stat().st_mode) == 0o700
    files = list(desk.path.parent.iterdir())
    assert beside(desk.path, "-wal") in files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_second_instance_is_turned_away(desk: Desk) -> None:
    desk.add(delivery(1))
    with pytest.raises(JournalBusy):
        Desk(desk.path)
    assert desk.seqs() == [1]


def test_a_newer_journal_is_left_untouched(desk: Desk) -> None:
    desk.add(delivery(1))
    desk.close()
    with closing(sqlite3.connect(desk.path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = desk.path.read_bytes()
    with pytest.raises(JournalNewer, match="schema 99"):
        desk.open()
    assert desk.path.read_bytes() == before
    assert not beside(desk.path, "-wal").exists()
    desk.path.unlink()
    desk.open()  # the lock was given back


def test_someone_elses_database_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "home-assistant.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE states (x)")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="not a journal"):
        Desk(path)
    assert path.read_bytes() == before


def test_a_file_of_garbage_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"garbage " * 500)
    desk = Desk(path)
    assert [file.read_bytes() for file in corrupt_files(desk)] == [b"garbage " * 500]
    desk.add(delivery(1))
    desk.reopen()
    assert desk.seqs() == [1]
    desk.close()


def test_damage_found_in_use_costs_no_good_row(desk: Desk) -> None:
    desk.add(*(delivery(seq) for seq in range(1, 301)))
    desk.close()
    with desk.path.open("r+b") as file:  # the root page of the index that reading goes through
        with closing(sqlite3.connect(desk.path)) as db:
            root = db.execute(
                "SELECT rootpage FROM sqlite_schema WHERE name = 'deliveries_by_lane'"
            ).fetchone()[0]
        file.seek((root - 1) * 1024)
        file.write(b"\xff" * 200)
    desk.open()
    assert desk.seqs() == list(range(1, 301))
    assert len(corrupt_files(desk)) == 1
    desk.reopen()
    assert desk.seqs() == list(range(1, 301))


def test_a_failure_is_repaired_once_and_not_hidden_when_it_stays(desk: Desk) -> None:
    desk.add(delivery(1))
    failures = [sqlite3.OperationalError("disk I/O error")]

    def sometimes(store: Store) -> int:
        if failures:
            raise failures.pop()
        return store.next_seq()

    def never(_: Store) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    assert desk.keeper.attempt(sometimes) > 0
    with pytest.raises(JournalError, match="disk I/O error"):
        desk.keeper.attempt(never)
    assert desk.seqs() == [1]


def test_damage_that_comes_back_is_not_repaired_for_ever(desk: Desk) -> None:
    attempts = []

    def damaged(store: Store) -> None:
        attempts.append(store)
        raise JournalCorrupt("database disk image is malformed")

    with pytest.raises(JournalCorrupt):
        desk.keeper.attempt(damaged)
    assert len(attempts) == 2
    assert len(corrupt_files(desk)) == 1


def test_want_of_room_is_no_damage(desk: Desk) -> None:
    attempts = []

    def full(store: Store) -> None:
        attempts.append(store)
        raise JournalFull("no room")

    with pytest.raises(JournalFull):
        desk.keeper.attempt(full)
    assert len(attempts) == 1


@pytest.mark.parametrize("everything", [False, True])
def test_a_deleted_file_is_written_anew(desk: Desk, *, everything: bool) -> None:
    desk.add(*(delivery(seq) for seq in range(1, 51)))
    for file in desk.path.parent.iterdir():
        if everything or file == desk.path:
            file.unlink()
    desk.add(delivery(51))
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
    desk.add(delivery(52))
    with pytest.raises(JournalBusy):
        Desk(desk.path)
    desk.reopen()
    assert desk.seqs() == list(range(1, 53))


def test_a_deleted_folder_is_made_anew(desk: Desk) -> None:
    desk.add(delivery(1))
    desk.path.parent.rename(desk.path.parent.with_name("gone"))
    desk.keeper.maintain()
    desk.reopen()
    assert desk.seqs() == [1]


def test_the_ballast_comes_back_with_the_next_maintenance(desk: Desk) -> None:
    ballast = beside(desk.path, ".ballast")
    assert ballast.exists()
    desk.keeper.relieve()
    assert not ballast.exists()
    desk.keeper.maintain()
    assert ballast.exists()


def test_descriptors_are_given_back(desk: Desk) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        desk.reopen()
        with pytest.raises(JournalBusy):
            Desk(desk.path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
