import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bridge.errors import JournalError, JournalFull
from bridge.journal.files import BALLAST, beside
from bridge.journal.journal import Journal
from bridge.journal.writer import SPACING
from bridge.message import Delivery
from tests.support.deliveries import delivery, webhook
from tests.support.journal import FAR, MIB
from tests.support.waiting import eventually

BIG = os.urandom(100_000)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(tmp_path / "journal.db", max_bytes=64 * MIB)
    yield journal
    await journal.close()


def big(seq: int) -> Delivery:
    return delivery(seq, webhook=webhook(BIG))


async def seqs(journal: Journal) -> list[int]:
    return [one.seq for one in await journal.read("mqtt:home", "route", 0, FAR, 10_000)]


# Gathering


async def test_what_comes_together_is_committed_together(journal: Journal) -> None:
    done: list[int] = []
    for seq in range(1, 101):
        journal.add([delivery(seq)], lambda batch: done.extend(one.seq for one in batch))
    assert not done
    await eventually(lambda: len(done) == 100)
    assert done == list(range(1, 101))
    assert journal.state.commits == 1


async def test_commits_keep_their_distance_unless_someone_waits(journal: Journal) -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    for seq in range(1, 4):
        journal.add([delivery(seq)], lambda _: times.append(loop.time()))
        await eventually(lambda wanted=seq: len(times) == wanted)  # type: ignore[misc]  # bound at once
    assert times[2] - times[0] >= 2 * SPACING - 0.03
    begin = loop.time()
    for seq in range(4, 8):
        journal.add([delivery(seq)])
        await journal.flush()
    assert loop.time() - begin < 4 * SPACING
    assert journal.state.commits == 7


async def test_what_arrives_during_a_commit_is_the_next_batch(journal: Journal) -> None:
    order: list[str] = []
    journal.add([delivery(1)], lambda _: order.append("first"))
    first = asyncio.create_task(journal.flush())
    while not journal.state.commits:
        journal.add([], None)
        await asyncio.sleep(0)
    journal.add([delivery(2)], lambda _: order.append("second"))
    await journal.flush()
    await first
    assert order == ["first", "second"]


async def test_removals_wait_for_company(journal: Journal) -> None:
    one, two = delivery(1), delivery(2)
    journal.add([one])
    await journal.flush()
    journal.remove(one)
    journal.add([two])
    await journal.flush()
    assert journal.state.commits == 2
    assert await seqs(journal) == [2]


async def test_a_flush_with_nothing_to_do_returns_at_once(journal: Journal) -> None:
    await journal.flush()
    assert journal.state.commits == 0


async def test_a_cancelled_flush_harms_nobody(journal: Journal) -> None:
    journal.add([delivery(1)])
    impatient = asyncio.create_task(journal.flush())
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await journal.flush()
    assert await seqs(journal) == [1]


# A full journal


async def test_over_the_limit_it_says_so_and_again_when_there_is_room(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal.db", max_bytes=MIB)
    heard: list[str] = []
    journal.listen(on_full=heard.append, on_room=lambda: heard.append("room"))
    stored = [big(seq) for seq in range(1, 13)]
    journal.add(stored)
    await journal.flush()
    assert "limit" in journal.full
    assert journal.size > MIB
    for one in stored[:3]:
        journal.remove(one)
    await journal.flush()
    assert not journal.full
    await eventually(lambda: len(heard) == 2)
    assert heard[1] == "room"
    await journal.close()


async def test_what_finds_no_room_waits_and_removals_go_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await Journal.open(path, max_bytes=MIB)
    stored = [big(seq) for seq in range(1, 21)]
    journal.add(stored)
    await journal.flush()
    accepted: list[int] = []
    late = [big(seq) for seq in range(21, 29)]
    journal.add(late, lambda batch: accepted.extend(one.seq for one in batch))
    with pytest.raises(JournalFull):
        await journal.flush()
    assert journal.full
    assert not accepted
    assert not beside(path, ".ballast").exists()
    assert await seqs(journal) == list(range(1, 29)), "what is only in memory is read, too"
    for one in stored:
        journal.remove(one)
    await eventually(lambda: len(accepted) == 8)
    assert await seqs(journal) == list(range(21, 29))
    assert not journal.full
    assert beside(path, ".ballast").stat().st_size == BALLAST
    await journal.close()


async def test_a_full_journal_has_room_again_though_nothing_waits_for_it(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal.db", max_bytes=MIB)
    stored = [big(seq) for seq in range(1, 21)]
    journal.add(stored)
    await journal.flush()
    late = [big(seq) for seq in range(21, 31)]
    journal.add(late)
    with pytest.raises(JournalFull):
        await journal.flush()
    for one in [*late, *stored]:
        journal.remove(one)
    await eventually(lambda: not journal.full)
    assert await seqs(journal) == []
    await journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Leaves no room on the file system."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


async def test_a_full_disk_takes_removals_and_recovers(small_disk: Path) -> None:
    journal = await Journal.open(small_disk / "journal.db", max_bytes=64 * MIB)
    stored = [big(seq) for seq in range(1, 9)]
    journal.add(stored)
    await journal.flush()
    filler = fill(small_disk)
    accepted: list[int] = []
    late = [big(seq) for seq in range(9, 25)]
    journal.add(late, lambda batch: accepted.extend(one.seq for one in batch))
    with pytest.raises(JournalFull):
        await journal.flush()
    assert "full" in journal.full
    journal.remove(stored[0])
    journal.remove(late[0])
    await journal.read("mqtt:home", "route", 0, FAR, 100)
    assert await seqs(journal) == [*range(2, 9), *range(10, 25)]
    assert not accepted
    filler.unlink()
    await eventually(lambda: len(accepted) == 16)
    assert not journal.full
    assert await seqs(journal) == [*range(2, 9), *range(10, 25)]
    await journal.close()


async def test_a_journal_opens_on_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "journal.db"
    journal = await Journal.open(path, max_bytes=64 * MIB)
    journal.add([one := delivery(1)])
    await journal.close()
    fill(small_disk)
    journal = await Journal.open(path, max_bytes=64 * MIB)
    assert await seqs(journal) == [1]
    one.journaled = True
    journal.remove(one)
    await journal.flush()
    assert await seqs(journal) == []
    await journal.close()


# Failures

STUCK = """
import asyncio, resource, sys
from contextlib import suppress
from pathlib import Path
from bridge.errors import JournalError
from bridge.journal.journal import Journal
from tests.support.deliveries import delivery, webhook

async def main():
    journal = await Journal.open(Path(sys.argv[1]), max_bytes=1 << 26)
    journal.add([delivery(1)])
    await journal.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    accepted = []
    journal.add([delivery(2, webhook=webhook(bytes(500_000)))], accepted.append)
    try:
        await journal.flush()
    except JournalError as error:
        print("refused", not accepted, journal.failed.done())
    try:
        await journal.read("mqtt:home", "route", 0, 1 << 40, 10)
    except JournalError:
        print("stays failed")
    await journal.close()

asyncio.run(main())
"""


def test_a_disk_that_keeps_failing_ends_the_journal_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    child = subprocess.run(
        [sys.executable, "-c", STUCK, path], capture_output=True, text=True, check=True, timeout=60
    )
    assert child.stdout.split("\n")[:2] == ["refused True True", "stays failed"], child.stderr

    async def left() -> list[int]:
        journal = await Journal.open(path, max_bytes=64 * MIB)
        found = await seqs(journal)
        await journal.close()
        return found

    assert asyncio.run(left()) == [1]


async def test_a_mistake_of_ours_is_loud(journal: Journal) -> None:
    journal.add([delivery(1 << 63)])
    with pytest.raises(JournalError, match="too large"):
        await journal.flush()
    assert "the writer ended" in str(await journal.failed)
    with pytest.raises(JournalError):
        await journal.flush()


async def test_closing_commits_everything_and_ends_the_thread(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    before = set(threading.enumerate())
    journal = await Journal.open(path, max_bytes=64 * MIB)
    journal.add([delivery(seq) for seq in range(1, 500)])
    journal.put("note", b"1")
    await journal.close()
    await eventually(lambda: set(threading.enumerate()) <= before)
    assert not beside(path, "-wal").exists()
    journal = await Journal.open(path, max_bytes=64 * MIB)
    assert await seqs(journal) == list(range(1, 500))
    assert await journal.get("note") == b"1"
    await journal.close()
