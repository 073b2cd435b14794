"""What the interface made, on disk: documents of buckets and tokens in SQLite. Synchronous.

It is written seldom, by the relay and by the command line at once. So: no write-ahead log, whose files would
belong to whoever was first, and no connection that stays open.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from bridge.errors import BridgeError, Fault
from bridge.selfhosted.audit import MOST, Change, change_of
from bridge.selfhosted.vault import Plain, Vault, VaultError, admit

FILE: Final = "resources.db"
_PATIENCE: Final = 5.0
"""Seconds to wait for another process."""

Documents = dict[str, dict[str, Any]]


class ShelfError(BridgeError):
    """What the interface made can't be read or kept."""

    fault = Fault.SYSTEM


class DocumentShelf(Protocol):
    """Documents by kind and ID. Its methods may wait, and raise ShelfError."""

    def read(self, kind: str) -> Documents:
        """All documents of a kind by their IDs, the oldest first."""

    def put(self, kind: str, name: str, document: dict[str, Any]) -> None:
        """Keep a document, in place of the one with its ID."""

    def remove(self, kind: str, name: str) -> None:
        """Forget a document."""

    def changes(self) -> list[dict[str, Any]]:
        """Who changed what, the oldest first."""


class Shelf:
    """A `DocumentShelf` in a folder.

    Args:
        folder: of the relay's state; None: everything is in memory.
        vault: seals documents.
    """

    def __init__(self, folder: Path | None, vault: Vault | None = None) -> None:
        self._path = None if folder is None else folder / FILE
        self._vault = vault or Plain()
        self._memory: dict[str, Documents] = {}

    @property
    def path(self) -> Path | None:
        """The file; None where there is none."""
        return self._path

    def read(self, kind: str) -> Documents:
        """All documents of a kind by their IDs, the oldest first.

        Raises:
            ShelfError: as all of these.
            VaultError: likewise: it was made with another key.
        """
        if self._path is None:
            return dict(self._memory.get(kind, {}))
        if not self._path.exists():
            return {}
        with self._open(self._path) as database:
            rows = database.execute(
                "SELECT id, document FROM resources WHERE kind = ? ORDER BY rowid", (kind,)
            )
            return {name: orjson.loads(self._vault.open(kept, f"{kind} {name}")) for name, kept in rows}

    def put(self, kind: str, name: str, document: dict[str, Any]) -> None:
        """Keep a document, in place of the one with its ID, and who did that."""
        if self._path is None:
            known = self._memory.setdefault(kind, {})
            change = change_of(kind, name, known.get(name), document)
            known[name] = document
        else:
            with self._open(self._path) as database:
                change = change_of(kind, name, self._one(database, kind, name), document)
                database.execute(
                    "INSERT INTO resources VALUES (?, ?, ?)"
                    " ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document",
                    (kind, name, self._vault.seal(orjson.dumps(document), f"{kind} {name}")),
                )
                self._note(database, change)
        change.tell()

    def remove(self, kind: str, name: str) -> None:
        """Forget a document, but not who did that."""
        if self._path is None:
            change = change_of(kind, name, self._memory.get(kind, {}).pop(name, None), None)
        else:
            with self._open(self._path) as database:
                change = change_of(kind, name, self._one(database, kind, name), None)
                database.execute("DELETE FROM resources WHERE kind = ? AND id = ?", (kind, name))
                self._note(database, change)
        change.tell()

    def changes(self) -> list[dict[str, Any]]:
        """Who changed what, the oldest first."""
        if self._path is None or not self._path.exists():
            return []
        with self._open(self._path) as database:
            rows = database.execute("SELECT at, record FROM changes ORDER BY rowid")
            return [orjson.loads(self._vault.open(record, f"change {at!r}")) for at, record in rows]

    def _one(self, database: sqlite3.Connection, kind: str, name: str) -> dict[str, Any] | None:
        row = database.execute(
            "SELECT document FROM resources WHERE kind = ? AND id = ?", (kind, name)
        ).fetchone()
        return None if row is None else orjson.loads(self._vault.open(row[0], f"{kind} {name}"))

    def _note(self, database: sqlite3.Connection, change: Change) -> None:
        record = self._vault.seal(orjson.dumps(change.document()), f"change {change.at!r}")
        database.execute("INSERT INTO changes VALUES (?, ?)", (change.at, record))
        database.execute("DELETE FROM changes WHERE rowid <= (SELECT max(rowid) FROM changes) - ?", (MOST,))

    @contextmanager
    def _open(self, path: Path) -> Iterator[sqlite3.Connection]:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(sqlite3.connect(path, timeout=_PATIENCE)) as database, database:
                path.chmod(0o600)
                database.execute("PRAGMA synchronous = FULL")
                admit(database, self._vault)
                database.execute(
                    "CREATE TABLE IF NOT EXISTS resources"
                    " (kind TEXT, id TEXT, document TEXT NOT NULL, PRIMARY KEY (kind, id))"
                )
                database.execute(
                    "CREATE TABLE IF NOT EXISTS changes (at REAL NOT NULL, record BLOB NOT NULL)"
                )
                yield database
        except OSError as error:
            raise ShelfError(f"{str(path)!a} can't be used: {error.strerror}") from error
        except (sqlite3.Error, orjson.JSONDecodeError) as error:
            raise ShelfError(f"{str(path)!a} can't be used: {error}") from error
        except VaultError as error:
            raise VaultError(f"{str(path)!a} can't be used: {error}") from None
