import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.errors import JournalBusy
from bridge.journal.journal import Journal
from bridge.journal.writer import DELAYS, Haste
from bridge.message import Delivery, HttpRequest, MqttMessage
from tests.support.deliveries import delivery, webhook
from tests.support.journal import FAR, MIB
from tests.support.waiting import eventually

T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(path, max_bytes=64 * MIB)
    yield journal
    await journal.close()


async def reopened(journal: Journal, path: Path, **clocks: Any) -> Journal:
    await journal.close()
    return await Journal.open(path, max_bytes=64 * MIB, **clocks)


async def read(journal: Journal, key: str | None = "route", after: int = 0) -> list[Delivery]:
    return await journal.read("mqtt:home", key, after, FAR, 10_000)


async def seqs(journal: Journal, key: str | None = "route", after: int = 0) -> list[int]:
    return [one.seq for one in await read(journal, key, after)]


async def test_a_delivery_survives_a_restart(journal: Journal, path: Path) -> None:
    mqtt = delivery(1, webhook=webhook(b"\0\xff", late=True), message=MqttMessage("t", b"x", 2, retain=True))
    request = HttpRequest("POST", "http://127.0.0.1/", (("a", "b"),))
    journal.add([mqtt, delivery(2, message=request, attempts=3, size=700)])
    journal = await reopened(journal, path)
    one, two = await read(journal)
    assert (one.seq, one.message, one.webhook.raw, one.webhook.late) == (1, mqtt.message, b"\0\xff", True)
    assert (two.message, two.attempts, two.size, two.journaled) == (request, 3, 700, True)
    await journal.close()


async def test_reading_sees_all_that_was_queued_before(journal: Journal) -> None:
    journal.add([delivery(seq) for seq in (1, 2, 3)])
    two = (await read(journal))[1]
    journal.remove(two)
    journal.add([delivery(4)])
    assert await seqs(journal) == [1, 3, 4]
    assert await seqs(journal, after=3) == [4]


async def test_many_read_and_write_at_once(journal: Journal) -> None:
    async def lane(key: str, start: int) -> None:
        for seq in range(start, start + 20):
            journal.add([delivery(seq, order_key=key)])
            assert await seqs(journal, key) == list(range(start, seq + 1))

    await asyncio.gather(*(lane(f"key{number}", number * 100 + 1) for number in range(5)))


def footprint(path: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of the last write of all of the journal's files."""
    stats = [(file.name, file.stat()) for file in sorted(path.parent.iterdir())]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


async def test_what_is_done_before_the_commit_is_never_written(journal: Journal, path: Path) -> None:
    await journal.flush()
    before = footprint(path)
    heard: list[Delivery] = []
    for seq in range(1, 1001):
        one = delivery(seq)
        journal.add([one], heard.extend)
        journal.remove(one)
    await journal.flush()
    assert footprint(path) == before
    assert journal.state.commits == 0
    assert journal.state.cancelled == 1000
    await eventually(lambda: len(heard) == 1000)


async def test_removing_what_was_never_added_does_nothing(journal: Journal) -> None:
    journal.remove(delivery(1))
    journal.update(delivery(2))
    await journal.flush()
    assert journal.state.commits == 0
    assert journal.state.cancelled == 0


async def test_attempts_are_durable_once_flushed(journal: Journal, path: Path) -> None:
    one = delivery(1)
    journal.add([one])
    await journal.flush()
    for one.attempts in (1, 2):
        journal.update(one)
    await journal.flush()
    assert journal.state.commits == 2
    journal = await reopened(journal, path)
    assert [each.attempts for each in await read(journal)] == [2]
    await journal.close()


async def test_a_removal_takes_its_update_along(journal: Journal) -> None:
    one = delivery(1)
    journal.add([one])
    await journal.flush()
    journal.update(one)
    journal.remove(one)
    assert await seqs(journal) == []


async def test_lanes_and_seqs_at_the_start(journal: Journal, path: Path) -> None:
    first = await journal.next_seq()
    journal.add([delivery(first), delivery(first + 1, order_key=None, size=5)])
    journal = await reopened(journal, path)
    found = {(lane.target, lane.order_key): (lane.count, lane.first_seq) for lane in await journal.lanes()}
    assert found == {("mqtt:home", "route"): (1, first), ("mqtt:home", None): (1, first + 1)}
    assert await journal.next_seq() > first + 1
    await journal.close()


async def test_one_instance_at_a_time(journal: Journal, path: Path) -> None:
    with pytest.raises(JournalBusy):
        await Journal.open(path, max_bytes=MIB)
    journal.add([delivery(1)])
    assert await seqs(journal) == [1]


# Dead letters


async def test_a_dead_letter_can_have_another_try(journal: Journal, path: Path) -> None:
    stored, fresh = delivery(1), delivery(2, webhook=webhook(b"second"))
    journal.add([stored])
    await journal.flush()
    journal.bury(stored, "http-400", "bad request")
    journal.bury(fresh, "render", "no such field")
    assert await seqs(journal) == []
    journal = await reopened(journal, path)
    assert journal.state.dead == 2
    assert [letter.seq for letter in await journal.dead(code="render")] == [2]
    found = await journal.exhume(2)
    assert found is not None
    hook, letter = found
    assert (hook.raw, letter.code, letter.reason) == (b"second", "render", "no such field")
    assert letter.at == pytest.approx(time.time(), abs=60)
    journal.add([delivery(3, webhook=hook)])
    await journal.flush()
    assert await journal.discard([letter.id]) == 1
    assert await seqs(journal) == [3]
    assert await journal.dead_letter(2) is None
    assert [letter.seq for letter in await journal.dead()] == [1]
    await journal.close()


async def test_a_burial_cancels_an_insertion_that_waits(journal: Journal) -> None:
    one = delivery(1)
    journal.add([one])
    journal.bury(one, "http-400", "")
    await journal.flush()
    assert journal.state.commits == 1
    assert await seqs(journal) == []
    assert journal.state.dead == 1


# Deduplication and notes


async def test_a_key_that_is_remembered_outlives_the_process(journal: Journal, path: Path) -> None:
    journal.keys.add(1)
    journal.remember([2, -(2**63)])
    assert [key in journal.keys for key in (1, 2, -(2**63), 3)] == [True, True, True, False]
    journal = await reopened(journal, path)
    assert [key in journal.keys for key in (1, 2, -(2**63), 3)] == [False, True, True, False]
    await journal.close()


async def test_the_keys_of_what_is_owed_are_known_after_a_restart(journal: Journal, path: Path) -> None:
    dead, owed, settled = (delivery(n, identity=n, dedupe=-n) for n in (1, 2, 3))
    journal.add([dead, owed, settled])
    journal.bury(dead, "http-400", "")
    await journal.flush()
    journal.remove(settled)
    journal = await reopened(journal, path)
    assert [key in journal.keys for key in (1, -1, 2, -2, 3, -3)] == [False, False, True, True, False, False]
    [found] = await read(journal)
    assert (found.identity, found.dedupe) == (2, -2)
    await journal.close()


async def test_notes_and_keys_alone_hurry_nobody(journal: Journal) -> None:
    journal.put("cursor", b"1")
    journal.put("cursor", b"2")
    journal.remember([5])
    assert await journal.get("cursor") == b"2"
    journal.add([two := delivery(2)])
    journal.remove(two)
    over = asyncio.get_running_loop().time() + 2 * DELAYS[Haste.LATER]  # longer than what is in no lazy hurry
    await eventually(lambda: asyncio.get_running_loop().time() > over)
    assert journal.state.commits <= 1
    await journal.flush()
    assert await journal.get("cursor") == b"2"
    assert await journal.get("nothing") is None


# Clocks


async def test_a_deadline_runs_on_through_a_restart(path: Path) -> None:
    wall, mono = [1.8e9], [1000.0]
    clocks = {"wall": lambda: wall[0], "monotonic": lambda: mono[0]}
    journal = await Journal.open(path, max_bytes=MIB, **clocks)
    journal.add([delivery(1, deadline=1000.0 + 3600), delivery(2)])
    await journal.flush()
    wall[0] += 1e6  # a jump: the deadline is this process' own
    assert [one.deadline for one in await read(journal)] == [4600.0, None]
    wall[0] -= 1e6
    await journal.close()

    wall[0], mono[0] = wall[0] + 600, 5.0  # ten minutes later, after a reboot
    journal = await Journal.open(path, max_bytes=MIB, **clocks)
    assert [one.deadline for one in await read(journal)] == [pytest.approx(3005.0), None]
    await journal.close()

    wall[0], mono[0] = 100.0, 7.0  # booted, and nobody has set the clock
    journal = await Journal.open(path, max_bytes=MIB, **clocks)
    wall[0] = 1.9e9  # now somebody has
    assert [one.deadline for one in await read(journal)] == [pytest.approx(3607.0), None]
    await journal.close()


# Against a model


class AgainstModel(RuleBasedStateMachine):
    """The journal does what a few dictionaries would do, through commits and restarts."""

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.db"
        self.owed: dict[int, Delivery] = {}
        self.dead: dict[int, str] = {}
        self.keys: set[int] = set()
        self.notes: dict[str, bytes] = {}
        self.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def start(self) -> None:
        self.journal = self.run(Journal.open(self.path, max_bytes=64 * MIB))
        self.next = self.run(self.journal.next_seq())

    @rule(
        fan_out=st.integers(1, 4),
        keys=st.lists(st.sampled_from([None, "", "a", "b"]), min_size=4, max_size=4),
    )
    def add(self, fan_out: int, keys: list[str | None]) -> None:
        shared = webhook(str(self.next).encode())
        batch = [
            delivery(self.next + n, webhook_seq=self.next, webhook=shared, order_key=keys[n])
            for n in range(fan_out)
        ]
        self.next += fan_out
        self.run(self.on_loop(self.journal.add, batch))
        self.owed |= {one.seq: one for one in batch}

    @staticmethod
    async def on_loop(work: Any, *args: Any, **kwargs: Any) -> None:
        work(*args, **kwargs)

    def pick(self, data: st.DataObject) -> Delivery:
        return self.owed[data.draw(st.sampled_from(sorted(self.owed)))]

    @precondition(lambda self: self.owed)
    @rule(data=st.data(), keys=st.lists(st.sampled_from([1, 2])))
    def remove(self, data: st.DataObject, keys: list[int]) -> None:
        one = self.pick(data)
        self.run(self.on_loop(self.journal.remember, keys))
        self.run(self.on_loop(self.journal.remove, one))
        del self.owed[one.seq]
        self.keys |= set(keys)

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        one = self.pick(data)
        one.attempts += 1
        self.run(self.on_loop(self.journal.update, one))

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        one = self.pick(data)
        self.run(self.on_loop(self.journal.bury, one, "code", str(one.seq)))
        self.dead[one.seq] = one.webhook.text
        del self.owed[one.seq]

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        letters = self.run(self.journal.dead())
        letter = data.draw(st.sampled_from(letters))
        assert self.run(self.journal.discard([letter.id])) == 1
        del self.dead[letter.seq]

    @rule(name=st.sampled_from(["x", "y"]), value=st.binary(max_size=20))
    def put(self, name: str, value: bytes) -> None:
        self.run(self.on_loop(self.journal.put, name, value))
        self.notes[name] = value

    @rule()
    def turn(self) -> None:
        self.run(asyncio.sleep(0.03))

    @rule()
    def flush(self) -> None:
        self.run(self.journal.flush())

    @rule()
    def restart(self) -> None:
        self.run(self.journal.close())
        used = self.next
        self.start()
        assert self.next >= used
        for key in (None, "", "a", "b"):
            for one in self.run(read(self.journal, key)):
                assert one.attempts == self.owed[one.seq].attempts
                self.owed[one.seq] = one

    @rule(key=st.sampled_from([None, "", "a", "b"]))
    def look(self, key: str | None) -> None:
        found = self.run(read(self.journal, key))
        assert [one.seq for one in found] == [
            seq for seq, one in sorted(self.owed.items()) if one.order_key == key
        ]
        for one in found:
            assert one.webhook.text == self.owed[one.seq].webhook.text

    @rule()
    def look_at_the_rest(self) -> None:
        letters = self.run(self.journal.dead())
        for letter in letters:
            found = self.run(self.journal.exhume(letter.id))
            assert found is not None
            assert found[0].text == self.dead[letter.seq]
        assert {letter.seq for letter in letters} == set(self.dead)
        for name in ("x", "y"):
            assert self.run(self.journal.get(name)) == self.notes.get(name)
        for key in (1, 2):
            assert (key in self.journal.keys) == (key in self.keys)

    @rule()
    def lanes_add_up(self) -> None:
        lanes = self.run(self.journal.lanes())
        assert sum(lane.count for lane in lanes) == len(self.owed)

    @invariant()
    def it_has_not_failed(self) -> None:
        assert not self.journal.failed.done()
        assert self.journal.state.corrupt == 0

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.run(self.journal.close())
            self.loop.close()
            self.folder.cleanup()


AgainstModel.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestAgainstModel = AgainstModel.TestCase
