"""The log on disk: what it holds after restarts, and what it lets go of."""

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.selfhosted.counters import Counters
from bridge.selfhosted.history import Frame, Origin, Query
from bridge.selfhosted.resources import MIB, Limits
from bridge.selfhosted.store import FILE, Store, StoreError
from bridge.selfhosted.tables import OVERHEAD, Reader, Tables
from bridge.selfhosted.wire import payload_of, text_frame

NOW = 1_800_000_000.0
NOWHERE: list[Reader] = []


def frame(position: int, created: float = NOW, bucket: str = "a", size: int = 0) -> Frame:
    wire = text_frame(str(position) + "x" * size)
    return Frame(position, 0.0, bucket, wire, Origin(f"id-{position}", created, "/p", "192.0.2.1"))


def tables(folder: Path, *, most_bytes: int = MIB, longest: float = 3600.0, now: float = NOW) -> Tables:
    return Tables(folder / FILE, most_bytes=most_bytes, longest=longest, now=now)


def every(*buckets: str, limit: int = 1000, after: int = 0, most_bytes: int = MIB) -> Query:
    return Query(frozenset(buckets or ("a", "b")), 0.0, 4e9, after, limit, most_bytes)


def positions(table: Tables, query: Query | None = None) -> list[int]:
    return [one.position for one in table.select(query or every()).frames]


def test_frames_come_back_as_they_were(tmp_path: Path) -> None:
    first = tables(tmp_path)
    first.commit([frame(1), frame(2, bucket="b")], [("pi", "a", 1)], NOW)
    first.close()
    again = tables(tmp_path, now=NOW + 100)
    (found,) = again.select(every("b")).frames
    assert (found.position, found.bucket_id, payload_of(found.wire)) == (2, "b", b"2")
    assert found.origin == Origin("id-2", NOW, "/p", "192.0.2.1")
    assert again.find("id-1") is not None
    assert again.find("id-9") is None
    assert again.readers() == [("pi", "a", 1)]
    assert again.last_position == 2
    assert again.complete_since == NOW
    again.close()


def test_pages_by_position_time_number_and_bytes(tmp_path: Path) -> None:
    table = tables(tmp_path)
    table.commit([frame(n, NOW + n, size=100) for n in range(1, 11)], None, NOW)
    assert positions(table, every(after=3, limit=4)) == [4, 5, 6, 7]
    assert table.select(every(after=3, limit=4)).more
    assert not table.select(every(after=6, limit=4)).more
    assert positions(table, Query(frozenset("a"), NOW + 2, NOW + 4, 0, 10, MIB)) == [2, 3, 4]
    page = table.select(every(most_bytes=250))
    assert ([one.position for one in page.frames], page.more) == ([1, 2], True)
    assert len(table.select(every(most_bytes=1)).frames) == 1
    table.close()


def test_age_bounds_it_and_it_says_since_when_it_is_complete(tmp_path: Path) -> None:
    table = tables(tmp_path, longest=100.0)
    table.commit([frame(1, NOW), frame(2, NOW + 50)], None, NOW + 50)
    table.commit([frame(3, NOW + 120)], None, NOW + 120)
    assert positions(table) == [2, 3]
    assert table.complete_since == NOW
    table.close()


def test_bytes_bound_it(tmp_path: Path) -> None:
    one = OVERHEAD + len(frame(1, size=1000).wire)
    table = tables(tmp_path, most_bytes=3 * one)
    for n in range(1, 8):
        table.commit([frame(n, NOW + n, size=1000)], None, NOW + n)
    assert positions(table) == [5, 6, 7]
    assert table.complete_since == NOW + 4
    table.close()
    again = tables(tmp_path, most_bytes=3 * one)
    again.commit([frame(8, NOW + 8, size=1000)], None, NOW + 8)
    assert positions(again) == [6, 7, 8]
    again.close()


def test_a_commit_that_fails_leaves_nothing(tmp_path: Path) -> None:
    table = tables(tmp_path)
    table.commit([frame(1)], NOWHERE, NOW)
    with pytest.raises(sqlite3.IntegrityError):
        table.commit([frame(2), frame(1)], [("pi", "a", 2)], NOW)
    assert positions(table) == [1]
    assert table.readers() == []
    table.commit([frame(2)], None, NOW)
    assert positions(table) == [1, 2]
    table.close()


def test_the_newest_frames_come_back_within_bounds(tmp_path: Path) -> None:
    table = tables(tmp_path)
    table.commit([frame(n, NOW + n, size=100) for n in range(1, 11)], None, NOW)
    assert [one.position for one in table.newest(NOW + 4, 100, MIB)] == [4, 5, 6, 7, 8, 9, 10]
    assert [one.position for one in table.newest(0, 2, MIB)] == [9, 10]
    assert [one.position for one in table.newest(0, 100, 350)] == [8, 9, 10]
    table.close()


@given(st.text(max_size=70_000))
def test_the_text_of_a_frame(text: str) -> None:
    assert payload_of(text_frame(text)) == text.encode()


async def opened(folder: Path, counters: Counters | None = None) -> Store:
    return await Store.open(folder, Limits(), counters or Counters())


async def test_what_is_kept_is_on_the_disk_when_keep_returns(tmp_path: Path) -> None:
    store = await opened(tmp_path / "state")
    store.start(lambda: [("pi", "a", 2)])
    now = time.time()
    await asyncio.gather(*(store.keep([frame(n, now)]) for n in range(1, 51)))
    # What another process would see in the files now, after a power cut.
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    copy = tables(tmp_path / "copy")
    assert positions(copy) == list(range(1, 51))
    assert copy.readers() == [("pi", "a", 2)]
    copy.close()
    await store.close()
    again = await opened(tmp_path / "state")
    frames, readers, last = await again.recent(Limits())
    assert [one.position for one in frames] == list(range(1, 51))
    assert (readers, last) == ([("pi", "a", 2)], 50)
    await again.close()


async def test_what_came_just_before_is_found(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    store.start(list)
    keeping = asyncio.create_task(store.keep([frame(1)]))
    await asyncio.sleep(0)
    assert [one.position for one in (await store.select(every())).frames] == [1]
    assert await store.find("id-1") is not None
    await keeping
    await store.close()


async def test_readers_are_noted_without_frames_and_when_it_closes(tmp_path: Path) -> None:
    readers: list[Reader] = [("pi", "a", 1)]
    store = await opened(tmp_path)
    store.start(lambda: list(readers))
    await store.keep([frame(1)])
    readers[0] = ("pi", "a", 5)
    await store.close()
    again = await opened(tmp_path)
    assert (await again.recent(Limits()))[1:] == ([("pi", "a", 5)], 5)
    await again.close()


async def test_a_disk_that_refuses_is_told_and_nobody_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counters = Counters()
    store = await opened(tmp_path, counters)
    store.start(list)
    await store.keep([frame(1)])
    before = time.time()
    await store.keep([frame(1)])  # twice the same position: as good as any error of the database
    await store.keep([frame(2)])
    assert counters.unkept == 1
    assert store.complete_since >= before
    assert "can't be written" in caplog.text
    assert [one.position for one in (await store.select(every())).frames] == [1, 2]
    await store.close()


async def test_two_relays_on_one_folder(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    with pytest.raises(StoreError, match="locked"):
        await opened(tmp_path)
    await store.close()


async def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        await opened(tmp_path / "file")
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError):
        await opened(tmp_path)
