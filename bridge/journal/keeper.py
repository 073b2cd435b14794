"""The journal's file kept usable: one owner, repaired once when it fails, written anew when it vanishes."""

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from bridge.crashpoint import crash_at
from bridge.errors import JournalError, JournalFull
from bridge.journal import files
from bridge.journal.clock import Clock
from bridge.journal.database import JournalCorrupt, connect, translated
from bridge.journal.salvage import salvage
from bridge.journal.schema import check_version, migrate, verify
from bridge.journal.sessions import record_session, start_session
from bridge.journal.store import Store, Tally, Usage

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Keeper:
    """Owner of the store, for one thread."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        tally: Tally,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._wall = wall
        self._monotonic = monotonic
        self._tally = tally
        self._clock: Clock | None = None

    def open(self) -> Clock:
        """Locks and opens the journal; a damaged one is set aside and its good rows are saved.

        Returns:
            The clocks of this session.

        Raises:
            JournalBusy: another instance has it.
            JournalNewer: a newer version wrote it; it is left as it is.
            JournalError: it can't be used.
        """
        with translated():
            self._lock = files.lock(self._path)
            try:
                files.resume_salvage(self._path)
                self._open_or_salvage()
            except BaseException:
                os.close(self._lock)
                raise
        return self._store.clock

    def attempt(self, work: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does something with the store; when it fails, repairs the journal and tries once more.

        Raises:
            JournalFull: there is no room; trying again later can help.
            JournalError: it failed again.
        """
        with translated():
            try:
                with translated():
                    result = work(self._store, *args, **kwargs)
            except JournalFull:
                raise
            except JournalError as error:
                self._repair(error)
                result = work(self._store, *args, **kwargs)
            if not files.same_file(self._path, self._identity):
                self._recreate()
        return result

    def relieve(self) -> None:
        """Frees the ballast, so that a full disk takes removals."""
        files.free_ballast(self._path)

    def make_room(self) -> None:
        """Takes the ballast's room again.

        Raises:
            JournalFull: there is still none.
        """
        with translated():
            files.make_ballast(self._path)

    def maintain(self) -> Usage:
        """What is due now and then."""
        with suppress(JournalError):  # whoever needs the room will see
            self.make_room()
        return self.attempt(Store.maintain)

    def close(self) -> None:
        """Closes and unlocks; the log is played into the database."""
        try:
            with translated():
                crash_at("journal.before-checkpoint")
                self._db.close()
        finally:
            os.close(self._lock)

    def _open_or_salvage(self) -> None:
        try:
            self._open()
        except JournalCorrupt as error:
            self._salvage(error)

    def _open(self) -> None:
        files.prepare(self._path)
        self._db = connect(self._path, max_bytes=_ceiling(self._max_bytes), check=check_version)
        try:
            with translated():
                self._load()
        except BaseException:
            self._db.close()
            raise
        self._identity = self._path.stat()
        try:
            self.make_room()
        except JournalFull as error:
            _log.warning("no room for the journal's reserve: %s", error)

    def _load(self) -> None:
        migrate(self._db)
        verify(self._db)
        self._clock = self._clock or start_session(self._db, wall=self._wall, monotonic=self._monotonic)
        self._clock.forget()
        # On a full disk the first commit that finds room records it.
        with suppress(JournalFull), translated():
            record_session(self._db, self._clock)
        self._store = Store(self._db, clock=self._clock, max_bytes=self._max_bytes, tally=self._tally)

    def _repair(self, error: JournalError) -> None:
        with suppress(sqlite3.Error):  # it is broken: that is why we are here
            self._db.close()
        if isinstance(error, JournalCorrupt):
            self._salvage(error)
        else:
            _log.error("the journal failed and is opened again: %s", error)
            self._open_or_salvage()

    def _salvage(self, error: JournalCorrupt) -> None:
        """Starts over with the good rows. The damaged file keeps its place until they are safe in another."""
        _log.error("the journal is damaged: %s", error)
        self.relieve()
        fresh = files.start_salvage(self._path)
        with closing(connect(fresh, max_bytes=_ceiling(self._max_bytes), check=check_version)) as db:
            migrate(db)
            saved = salvage(self._path, db)
        moved = files.finish_salvage(self._path, str(int(self._wall())))
        _log.error(
            "saved %d deliveries and %d dead letters; the damaged file is now %s",
            *(saved.deliveries, saved.dead, moved),
        )
        self._open()

    def _recreate(self) -> None:
        """Writes a file that was deleted or replaced anew, from the connection that still has it open."""
        _log.error("the journal's file was deleted or replaced; it is written anew")
        fresh = files.beside(self._path, ".new")
        files.prepare(self._path)
        files.remove(fresh)
        self._db.execute("VACUUM INTO ?", (str(fresh),))
        self._db.close()
        files.replace(fresh, self._path)
        if not files.holds_lock(self._path, self._lock):
            stale, self._lock = self._lock, files.lock(self._path)
            os.close(stale)
        self._open()


def _ceiling(max_bytes: int) -> int:
    """The size at which the database itself says it is full; the margin is for what is already on its way."""
    return max_bytes + max_bytes // 4 + 1024 * 1024
