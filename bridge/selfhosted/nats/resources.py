"""What the interface made, in a key-value bucket. Every process follows its changes."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
from nats.aio.client import Client
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import APIError
from nats.js.kv import KeyValue

from bridge.selfhosted.audit import MOST, Change, change_of
from bridge.selfhosted.engine import EngineUnavailable
from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.connection import Watchers, connect, translated
from bridge.selfhosted.nats.making import key_value, made
from bridge.selfhosted.nats.stream import scan
from bridge.selfhosted.resources import NatsSettings
from bridge.selfhosted.shelf import Documents, ShelfError

logger = logging.getLogger(__name__)

T = TypeVar("T")

SECONDS: Final = 10.0
"""For one change, or the first look."""
_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Kept:
    kind: str
    name: str
    document: dict[str, Any]
    revision: int


class KvShelf:
    """As `DocumentShelf`. It is opened on an event loop; its changes are made in other threads."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        """By key; never changed, but replaced: threads read it."""
        self._js: JetStreamContext
        self._kv: KeyValue
        self._loop: asyncio.AbstractEventLoop
        self._watcher: KeyValue.KeyWatcher | None = None
        self._ready = asyncio.Event()
        self._changed: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None

    async def open(self, client: Client, replicas: int, changed: Callable[[], None]) -> None:
        """Get to know what is there, and follow it.

        Raises:
            EngineUnavailable: NATS doesn't tell.
        """
        self._loop = asyncio.get_running_loop()
        self._js = client.jetstream()
        self._kv = await key_value(self._js, names.RESOURCES, replicas)
        config = StreamConfig(
            name=names.CHANGES, subjects=[names.changes()], max_msgs=MOST, num_replicas=replicas
        )
        await made(self._js, config)
        self._task = asyncio.create_task(self._follow(), name="nats resources")
        with translated():
            async with asyncio.timeout(SECONDS):
                await self._ready.wait()
        self._changed = changed

    async def again(self) -> None:
        """Look at everything anew: something may have been missed."""
        if self._watcher is not None:
            await self._watcher.stop()  # type: ignore[no-untyped-call]  # nats-py leaves it untyped

    async def close(self) -> None:
        """Follow it no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def read(self, kind: str) -> Documents:
        """As `DocumentShelf`."""
        found = [one for one in self._kept.values() if one.kind == kind]
        found.sort(key=lambda one: (one.document.get("created_at", 0), one.name))
        return {one.name: one.document for one in found}

    def put(self, kind: str, name: str, document: dict[str, Any]) -> None:
        """As `DocumentShelf`. What another process changed in between is not overwritten."""
        known = self._kept.get(_key(kind, name))
        change = change_of(kind, name, known.document if known else None, document)
        self._wait(self._put(kind, name, document))
        self._note(change)

    def remove(self, kind: str, name: str) -> None:
        """As `DocumentShelf`."""
        known = self._kept.get(_key(kind, name))
        change = change_of(kind, name, known.document if known else None, None)
        self._wait(self._remove(_key(kind, name)))
        self._note(change)

    def changes(self) -> list[dict[str, Any]]:
        """As `DocumentShelf`."""
        return self._wait(self._changes())

    def _note(self, change: Change) -> None:
        self._wait(self._publish(change))
        change.tell()

    async def _publish(self, change: Change) -> None:
        with translated():
            await self._js.publish(names.changes(), orjson.dumps(change.document()))

    async def _changes(self) -> list[dict[str, Any]]:
        async with aclosing(scan(self._js, names.CHANGES, names.changes())) as messages:
            return [orjson.loads(one.data) async for one in messages]

    async def _put(self, kind: str, name: str, document: dict[str, Any]) -> None:
        key = _key(kind, name)
        known = self._kept.get(key)
        said = orjson.dumps({"kind": kind, "name": name, "document": document})
        with translated():
            if known is None:
                revision = await self._kv.create(key, said)
            else:
                revision = await self._kv.update(key, said, known.revision)
        self._kept = {**self._kept, key: _Kept(kind, name, document, revision)}

    async def _remove(self, key: str) -> None:
        known = self._kept.get(key)
        if known is not None:
            with translated():
                await self._kv.delete(key, known.revision)
            self._kept = {one: kept for one, kept in self._kept.items() if one != key}

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)
        except (EngineUnavailable, TimeoutError) as error:
            if isinstance(error.__cause__, APIError):
                raise ShelfError("it was changed at the same time; try again") from error
            raise ShelfError(f"NATS doesn't keep it: {error}") from error

    async def _follow(self) -> None:
        while True:
            try:
                with translated():
                    await self._follow_once()
            except EngineUnavailable as error:
                logger.debug("resources are not followed: %s", error)
                await asyncio.sleep(_PAUSE)

    async def _follow_once(self) -> None:
        """Until `again`."""
        self._watcher = watcher = await self._kv.watchall()
        kept: dict[str, _Kept] = {}
        is_whole = False
        async for entry in watcher:
            if entry is not None:
                _apply(kept, entry)
            else:
                is_whole = True
            if is_whole:
                self._take(dict(kept))

    def _take(self, kept: dict[str, _Kept]) -> None:
        # What was changed here may not have come back yet.
        for key, one in self._kept.items():
            if key in kept and kept[key].revision < one.revision:
                kept[key] = one
        self._kept = kept
        self._ready.set()
        self._changed()


def _apply(kept: dict[str, _Kept], entry: KeyValue.Entry) -> None:
    if entry.operation is not None or not entry.value:
        kept.pop(entry.key, None)
        return
    said = orjson.loads(entry.value)
    kept[entry.key] = _Kept(said["kind"], said["name"], said["document"], entry.revision or 0)


def _key(kind: str, name: str) -> str:
    return f"{kind}.{names.digest(name)}"


@contextmanager
def shelf_in_nats(settings: NatsSettings) -> Iterator[KvShelf]:
    """A shelf for who has no event loop.

    Raises:
        EngineUnavailable: NATS can't be used.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="nats")
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    try:
        client, shelf = run(_opened(settings))
        try:
            yield shelf
        finally:
            run(_closed(client, shelf))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _opened(settings: NatsSettings) -> tuple[Client, KvShelf]:
    async def nothing() -> None:
        pass

    client = await connect(settings, Watchers(nothing, nothing))
    shelf = KvShelf()
    try:
        await shelf.open(client, settings.replicas, lambda: None)
    except BaseException:
        await _closed(client, shelf)
        raise
    return client, shelf


async def _closed(client: Client, shelf: KvShelf) -> None:
    await shelf.close()
    try:
        await client.close()
    except Error as error:
        logger.debug("NATS: %s", error)
