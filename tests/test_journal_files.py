import os
import stat
from pathlib import Path

import pytest

from bridge.errors import JournalBusy
from bridge.journal import files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_read_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.db"
    descriptor = files.lock(path)
    files.prepare(path)
    files.make_ballast(path)
    assert mode(path.parent) == 0o700
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    files.prepare(path)  # again, without harm
    assert files.holds_lock(path, descriptor)
    files.beside(path, ".lock").unlink()
    assert not files.holds_lock(path, descriptor)
    os.close(descriptor)


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    held = files.lock(path)
    with pytest.raises(JournalBusy, match="another instance"):
        files.lock(path)
    os.close(held)
    os.close(files.lock(path))


def test_the_ballast_takes_room_and_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    files.make_ballast(path)
    files.make_ballast(path)
    ballast = files.beside(path, ".ballast")
    assert ballast.stat().st_blocks * 512 >= files.BALLAST
    files.free_ballast(path)
    files.free_ballast(path)
    assert not ballast.exists()


def test_damaged_files_are_kept_but_not_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_text("database 0")
    for number in range(files.KEPT + 2):
        files.beside(path, "-wal").write_text(f"log {number}")
        files.start_salvage(path).write_text(f"database {number + 1}")
        moved = files.finish_salvage(path, str(1000 + number))
        assert moved.read_text() == f"database {number}"
        assert files.beside(moved, "-wal").read_text() == f"log {number}"
        assert path.read_text() == f"database {number + 1}"
    assert len(list(tmp_path.iterdir())) == 2 * files.KEPT + 1


def test_a_salvage_is_finished_after_a_crash_and_not_before_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_text("damaged")
    saved = files.start_salvage(path)
    saved.write_text("half")
    files.resume_salvage(path)
    assert path.read_text() == "damaged"
    assert files.start_salvage(path).read_text() == ""
    saved.write_text("whole")
    path.rename(tmp_path / "aside")
    files.resume_salvage(path)
    assert path.read_text() == "whole"
    assert not saved.exists()


def test_a_file_that_was_swapped_or_deleted_is_another(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    files.prepare(path)
    opened = path.stat()
    assert files.same_file(path, opened)
    other = tmp_path / "other"
    other.touch()
    other.replace(path)
    assert not files.same_file(path, opened)
    path.unlink()
    assert not files.same_file(path, opened)


def test_a_replacement_leaves_no_log_of_the_old_one(tmp_path: Path) -> None:
    path, fresh = tmp_path / "journal.db", tmp_path / "fresh"
    path.write_text("old")
    files.beside(path, "-wal").write_text("old")
    fresh.write_text("new")
    files.replace(fresh, path)
    assert path.read_text() == "new"
    assert not files.beside(path, "-wal").exists()
