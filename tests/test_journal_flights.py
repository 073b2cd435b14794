import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.journal.flights import SLOTS, Flights
from bridge.journal.journal import Journal
from tests.support.deliveries import delivery
from tests.support.journal import MIB

CHILD = """
import os, signal, sys
from pathlib import Path
from bridge.journal.flights import Flights

flights = Flights(Path(sys.argv[1]))
flights.forget()
for seq in eval(sys.argv[2]):
    flights.begin(seq)
for seq in eval(sys.argv[3]):
    flights.end(seq)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path / "journal.db", max_bytes=64 * MIB)
    yield opened
    await opened.close()


def killed_with(path: Path, begun: list[int], ended: list[int]) -> None:
    """A process that dies with `begun`, without `ended`, in flight."""
    child = subprocess.run([sys.executable, "-c", CHILD, path, repr(begun), repr(ended)], check=False)
    assert child.returncode == -signal.SIGKILL


def test_what_was_in_flight_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "flights"
    killed_with(path, [1 << 36, 5, 6], [5])
    assert sorted(Flights(path).left) == [6, 1 << 36]
    assert sorted(Flights(path).left) == [6, 1 << 36], "until it is dealt with"
    killed_with(path, [7], [])
    assert Flights(path).left == [7]


def test_nothing_is_left_by_a_process_that_ends_in_order(tmp_path: Path) -> None:
    flights = Flights(tmp_path / "flights")
    flights.begin(1)
    flights.close()
    assert Flights(tmp_path / "flights").left == []


def test_slots_are_used_again_and_what_finds_none_is_not_noted(tmp_path: Path) -> None:
    path = tmp_path / "flights"
    flights = Flights(path)
    for seq in range(1, 3 * SLOTS):
        flights.begin(seq)
        flights.end(seq)
    for seq in range(1, SLOTS + 10):
        flights.begin(seq)
    for seq in range(SLOTS + 1, SLOTS + 10):
        flights.end(seq)
    assert sorted(Flights(path).left) == list(range(1, SLOTS + 1))


def test_without_a_file_nothing_outlives_it() -> None:
    flights = Flights(None)
    flights.begin(1)
    assert Flights(None).left == []


async def test_the_third_death_makes_a_dead_letter(journal: Journal) -> None:
    journal.add([delivery(seq) for seq in (1, 2, 3)])
    await journal.flush()
    assert await journal.convict([1, 2]) == {1, 2}
    assert await journal.convict([1]) == {1, 2}
    assert journal.state.dead == 0
    assert await journal.convict([1]) == {2}
    assert journal.state.dead == 1
    (letter,) = await journal.dead()
    assert (letter.seq, letter.code) == (1, "crash")
    assert [one.seq for one in await journal.read("mqtt:home", "route", 0, MIB, 10)] == [2, 3]


async def test_deaths_are_counted_across_restarts(tmp_path: Path) -> None:
    for start in range(3):
        journal = await Journal.open(tmp_path / "journal.db", max_bytes=64 * MIB)
        if start == 0:
            journal.add([delivery(1)])
            await journal.flush()
        await journal.convict([1])
        dead = [letter.seq for letter in await journal.dead()]
        await journal.close()
        assert dead == ([1] if start == 2 else [])


async def test_the_guilty_is_known_when_it_comes_again_and_its_key_is_free(tmp_path: Path) -> None:
    for start in range(4):
        journal = await Journal.open(tmp_path / "journal.db", max_bytes=64 * MIB)
        if start == 0:
            journal.add([delivery(1, identity=11, dedupe=12), delivery(2, identity=21, dedupe=22)])
            await journal.flush()
        if start < 3:
            await journal.convict([1])
        known = [key for key in (11, 12, 21, 22) if key in journal.keys]
        await journal.close()
        if start >= 2:
            assert known == [11, 21, 22]


async def test_what_was_never_stored_or_is_delivered_is_not_blamed(journal: Journal) -> None:
    stored = delivery(1)
    journal.add([stored])
    await journal.flush()
    assert await journal.convict([1, 99]) == {1}
    journal.remove(stored)
    await journal.flush()
    assert await journal.convict([99]) == frozenset()


async def test_without_suspects_nothing_is_written(journal: Journal) -> None:
    before = journal.state.commits
    assert await journal.convict([]) == frozenset()
    assert journal.state.commits == before
