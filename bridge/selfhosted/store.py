"""The relay's log on disk, as the event loop sees it: group commit in a thread of its own.

A frame is kept when its commit returned; only then its sender has the answer. Frames that come while a
commit runs form the next one.
"""

import asyncio
import logging
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from bridge.errors import BridgeError, Fault
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.history import Found, Frame, Outcome, Query
from bridge.selfhosted.resources import Limits
from bridge.selfhosted.tables import Reader, Tables
from bridge.selfhosted.vault import Vault, VaultError

logger = logging.getLogger(__name__)

T = TypeVar("T")

FILE: Final = "relay.db"
READERS_SECONDS: Final = 2.0
"""How soon it is noted how far subscribers got; they get again what a crash makes the relay forget."""
_QUIET: Final = 60.0
"""Seconds between two lines about a disk that can't be written."""


class StoreError(BridgeError):
    """The relay's state can't be used."""

    fault = Fault.SYSTEM


class Store:
    """Keeps frames and readers. Made by `open`."""

    def __init__(self, tables: Tables, executor: ThreadPoolExecutor, counters: Counters) -> None:
        """For `open`."""
        self._tables = tables
        self._executor = executor
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._frames: list[Frame] = []
        self._outcomes: dict[str, Outcome] = {}
        self._kept: asyncio.Future[None] = self._loop.create_future()
        """Done with the next commit."""
        self._wake = asyncio.Event()
        self._closing = False
        self._quiet_until = 0.0
        self._readers: Callable[[], list[Reader]] = list
        self._noted: list[Reader] = []
        self._writer: asyncio.Task[None] | None = None
        self._hole = 0.0
        self._waits: deque[float] = deque(maxlen=100)
        self.complete_since = 0.0
        """Unix time since which every frame is here."""

    @classmethod
    async def open(
        cls, folder: Path, limits: Limits, counters: Counters, vault: Vault | None = None
    ) -> "Store":
        """Open or create what a folder keeps; a vault seals it.

        Raises:
            StoreError: that is not possible; another relay may use it.
            VaultError: it was made with another key.
        """
        executor = ThreadPoolExecutor(1, thread_name_prefix="relay-log")
        try:
            tables = await asyncio.get_running_loop().run_in_executor(executor, _open, folder, limits, vault)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        store = cls(tables, executor, counters)
        store.complete_since = await store._call(lambda: tables.complete_since)
        return store

    async def recent(self, limits: Limits) -> tuple[list[Frame], list[Reader], int]:
        """What a relay before this one knew: the history's frames, the readers, the last position."""
        since, tables = time.time() - limits.history_age, self._tables
        return await self._call(
            lambda: (
                tables.newest(since, limits.history_frames, limits.history_bytes),
                tables.readers(),
                tables.last_position,
            )
        )

    def start(self, readers: Callable[[], list[Reader]]) -> None:
        """Write from now on; `readers` says how far each subscriber got."""
        self._readers = readers
        self._writer = asyncio.create_task(self._write(), name="relay log")

    async def keep(self, frames: Sequence[Frame]) -> None:
        """Return when frames are on the disk, or can't be."""
        self._frames += frames
        self._wake.set()
        began = self._loop.time()
        await self._settle()
        self._waits.append(self._loop.time() - began)

    def note(self, log_id: str, outcome: Outcome) -> None:
        """Write with the next commit what became of a frame."""
        self._outcomes[log_id] = outcome
        self._wake.set()

    def outcome(self, frame: Frame) -> Outcome | None:
        """What became of a frame that was read."""
        return frame.outcome

    @property
    def typical_wait(self) -> float:
        """Seconds that one of the last webhooks waited for its commit; 0.0 while there was none."""
        return random.choice(self._waits) if self._waits else 0.0  # noqa: S311  # no secret follows from it

    async def select(self, query: Query) -> Found:
        """The frames that are asked for, also those that came just before."""
        await self._settle()
        return await self._call(lambda: self._tables.select(query))

    async def find(self, log_id: str) -> Frame | None:
        """A frame by its ID."""
        await self._settle()
        return await self._call(lambda: self._tables.find(log_id))

    async def close(self) -> None:
        """Write what is left, then close."""
        self._closing = True
        self._wake.set()
        if self._writer is not None:
            await self._writer
        await self._call(self._tables.close)
        self._executor.shutdown(wait=False)

    async def _settle(self) -> None:
        if self._frames or self._outcomes:
            await asyncio.shield(self._kept)

    async def _write(self) -> None:
        while not self._closing:
            try:
                async with asyncio.timeout(READERS_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self._commit()

    async def _commit(self) -> None:
        frames, self._frames = self._frames, []
        outcomes, self._outcomes = self._outcomes, {}
        kept, self._kept = self._kept, self._loop.create_future()
        readers = self._readers()
        news = readers if readers != self._noted else None
        try:
            if frames or outcomes or news is not None:
                await self._call(lambda: self._tables.commit(frames, news, time.time(), self._hole, outcomes))
                self._noted = readers
                self.complete_since = await self._call(lambda: self._tables.complete_since)
        except sqlite3.Error as error:
            self._failed(frames, error)
        finally:
            if not kept.done():
                kept.set_result(None)

    def _failed(self, frames: Sequence[Frame], error: sqlite3.Error) -> None:
        """Subscribers have the frames, or get them from memory; the log has a hole, and says so."""
        self._counters.unkept += len(frames)
        self.complete_since = self._hole = time.time()
        if self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + _QUIET
            logger.error("the log can't be written (%s): %d webhooks so far", error, self._counters.unkept)

    async def _call(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._executor, work)


def _open(folder: Path, limits: Limits, vault: Vault | None) -> Tables:
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Tables(path, most_bytes=limits.log_bytes, longest=limits.log_age, now=time.time(), vault=vault)
    except OSError as error:
        raise StoreError(f"{str(folder)!a} can't be used: {error.strerror}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{str(path)!a} can't be used: {error}") from error
    except VaultError as error:
        raise VaultError(f"{str(path)!a} can't be used: {error}") from None
