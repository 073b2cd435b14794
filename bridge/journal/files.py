"""The files around the database: the lock, the ballast, and damaged files set aside. OSErrors pass."""

import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

from bridge.errors import JournalBusy

_log = logging.getLogger(__name__)

BALLAST = 512 * 1024
"""Bytes held back on the disk: freed when it is full, so that "delivered" can still be written."""
KEPT = 2
"""Damaged files that are kept; each can be as large as the journal."""


def beside(path: Path, suffix: str) -> Path:
    """A file next to the database: `journal.db` and `-wal` make `journal.db-wal`."""
    return path.with_name(path.name + suffix)


def prepare(path: Path) -> None:
    """Creates the folder (0700) and the file (0600), so that SQLite's side files get the same mode."""
    _make_folder(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def lock(path: Path) -> int:
    """Locks the journal for this process; a descriptor to close when it ends.

    The lock is on a file of its own: closing any descriptor of the database would drop SQLite's locks on it.

    Raises:
        JournalBusy: another instance holds it.
    """
    _make_folder(path)
    descriptor = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalBusy(f"another instance uses {path}") from error
    return descriptor


def holds_lock(path: Path, descriptor: int) -> bool:
    """Whether the lock is still on the file that others would try to lock."""
    return same_file(_lock_file(path), os.fstat(descriptor))


def make_ballast(path: Path) -> None:
    """Takes the ballast's room on the disk; OSError where there is none."""
    descriptor = os.open(beside(path, ".ballast"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, BALLAST)
    except OSError:
        free_ballast(path)
        raise
    finally:
        os.close(descriptor)


def free_ballast(path: Path) -> None:
    """Gives the ballast's room back."""
    with suppress(OSError):
        beside(path, ".ballast").unlink()


def same_file(path: Path, opened: os.stat_result) -> bool:
    """Whether the path still leads to the file that was opened."""
    try:
        found = path.stat()
    except OSError:
        return False
    return os.path.samestat(found, opened)


def start_salvage(path: Path) -> Path:
    """An empty file beside a damaged database, for what can be saved of it."""
    saved = _salvaged(path)
    remove(saved)
    prepare(saved)
    return saved


def finish_salvage(path: Path, stamp: str) -> Path:
    """Puts what was saved in the place of the damaged database; where that is now."""
    moved = _set_aside(path, stamp)
    replace(_salvaged(path), path)
    return moved


def resume_salvage(path: Path) -> None:
    """Finishes what a crash between the two moves of `finish_salvage` left undone."""
    if not path.exists() and _salvaged(path).exists():
        replace(_salvaged(path), path)


def _set_aside(path: Path, stamp: str) -> Path:
    moved = beside(path, f".corrupt-{stamp}")
    # The log goes first: a log without its database would be played into the fresh one.
    with suppress(FileNotFoundError):
        beside(path, "-wal").rename(beside(moved, "-wal"))
    path.rename(moved)
    older = sorted(path.parent.glob(f"{path.name}.corrupt-*[0-9]"))[:-KEPT]
    for file in older:
        _log.warning("removing an older damaged journal, %s", file)
        remove(file)
    return moved


def remove(path: Path) -> None:
    """Deletes a database and its log, where they exist."""
    for file in (path, beside(path, "-wal")):
        file.unlink(missing_ok=True)


def replace(fresh: Path, path: Path) -> None:
    """Puts a complete database in the place of another, durably."""
    beside(path, "-wal").unlink(missing_ok=True)
    fresh.chmod(0o600)
    _sync(fresh, os.O_RDONLY)
    fresh.replace(path)
    _sync(path.parent, os.O_RDONLY | os.O_DIRECTORY)


def _make_folder(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _lock_file(path: Path) -> Path:
    return beside(path, ".lock")


def _salvaged(path: Path) -> Path:
    return beside(path, ".salvaged")


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
