"""What comes again is sent once: within a process, across restarts, and after what came to nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.retry import Retry
from bridge.journal.journal import Journal
from bridge.message import DELIVERED, Delivery, Failure, FailureKind, Result
from bridge.routing.table import RouteTable
from tests.support.deliveries import ScriptedTarget, topic, webhook
from tests.support.routing_files import config_of, with_routes
from tests.support.waiting import eventually

HOME = "mqtt:home"
RING = "  - {name: ring, send: [{mqtt: ring}]}\n"
LOUD = "  - {name: ring, send: [{mqtt: ring}, {mqtt: loud}]}\n"
LATE = "  - {name: late, send: [{mqtt: late}]}\n"
ONCE = '  - {name: once, dedupe: "{{ body.k }}", send: [{mqtt: once}]}\n'
BRIEF = '  - {name: once, dedupe: "{{ body.k }}", expire_after: 1s, send: [{mqtt: once}]}\n'


def table(*routes: str) -> RouteTable:
    return config_of(with_routes("".join(routes))).table


class Rig:
    def __init__(self, journal: Journal, answer: Callable[[Delivery], Result]) -> None:
        self.journal = journal
        self.counts = Counts()
        self.dispatcher = Dispatcher(journal, self.counts)
        self.home = ScriptedTarget(HOME, answer)
        self.home.listener = self.dispatcher
        self.dispatcher.use({HOME: (self.home, Retry())})

    def take(self, routes: RouteTable, one: str, body: bytes = b"{}") -> None:
        hook = webhook(body, id=one)
        self.dispatcher.accept(hook, routes.route(hook).plans, 1)

    async def settled(self) -> None:
        await eventually(lambda: not any(self.dispatcher.owed().values()))
        self.conserved()

    def conserved(self) -> None:
        owed = self.dispatcher.owed()
        for name, counts in self.counts.targets.items():
            assert counts.accepted == counts.settled + owed.get(name, 0)

    @property
    def topics(self) -> list[str]:
        return [topic(delivery) for delivery in self.home.taken]


@asynccontextmanager
async def rig(
    path: Path, answer: Callable[[Delivery], Result] = lambda _: DELIVERED, *, up: bool = True
) -> AsyncIterator[Rig]:
    journal = await Journal.open(path, max_bytes=64 * 1024 * 1024)
    made = Rig(journal, answer)
    made.home.up = up
    await made.dispatcher.recover()
    made.dispatcher.available(HOME)
    try:
        yield made
    finally:
        await made.dispatcher.stop()
        made.conserved()
        await journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def refusing(delivery: Delivery) -> Result:
    return Failure(FailureKind.PERMANENT, "http-400", "no") if delivery.webhook.text != "{}" else DELIVERED


async def test_a_frame_that_comes_again_causes_nothing_and_is_counted(path: Path) -> None:
    async with rig(path) as made:
        for one in ("log-1", "log-2", "log-1"):
            made.take(table(RING, LATE), one)
        await made.settled()
        assert made.topics == ["ring", "late"] * 2
        assert made.counts.duplicates == 1
        assert [made.counts.route(name).duplicates for name in ("ring", "late")] == [1, 1]


async def test_a_route_or_an_item_that_was_added_gets_what_comes_again(path: Path) -> None:
    async with rig(path) as made:
        made.take(table(RING), "log-1")
        made.take(table(LATE, RING), "log-1")
        made.take(table(LATE, LOUD), "log-1")
        await made.settled()
        assert sorted(made.topics) == ["late", "loud", "ring"]
        assert made.counts.duplicates == 0
        assert made.counts.route("ring").duplicates == 1


async def test_what_was_delivered_is_known_after_a_restart(path: Path) -> None:
    async with rig(path) as made:
        made.take(table(RING), "log-1")
        await made.settled()
        assert made.journal.state.commits == 0, "it is noted lazily"
    async with rig(path) as again:
        again.take(table(RING), "log-1")
        again.take(table(RING), "log-2")
        await again.settled()
        assert len(again.topics) == 1
        assert again.counts.duplicates == 1


async def test_what_is_still_owed_is_known_after_a_restart(path: Path) -> None:
    async with rig(path, up=False) as made:
        made.take(table(RING, ONCE), "log-1", b'{"k": 1}')
    async with rig(path, up=False) as again:
        again.take(table(RING, ONCE), "log-1", b'{"k": 1}')
        again.take(table(ONCE), "log-2", b'{"k": 1}')
        assert again.counts.duplicates == 2
        again.home.set_up(True)
        await again.settled()
        assert sorted(again.topics) == ["once", "ring"]


async def test_two_webhooks_with_one_key_are_one_and_equal_bodies_are_two(path: Path) -> None:
    async with rig(path, up=False) as made:
        made.take(table(ONCE, RING), "log-1", b'{"k": "a"}')
        made.take(table(ONCE, RING), "log-2", b'{"k": "a"}')
        made.home.set_up(True)
        await made.settled()
        made.take(table(ONCE, RING), "log-3", b'{"k": "a"}')
        made.take(table(ONCE, RING), "log-4", b'{"k": "b"}')
        await made.settled()
        assert sorted(made.topics) == ["once"] * 2 + ["ring"] * 4
        assert made.counts.route("once").duplicates == 2
        assert made.counts.route("ring").duplicates == made.counts.duplicates == 0


async def test_a_key_belongs_to_its_route(path: Path) -> None:
    other = ONCE.replace("once", "other")
    async with rig(path) as made:
        made.take(table(ONCE), "log-1", b'{"k": "a"}')
        made.take(table(other), "log-2", b'{"k": "a"}')
        await made.settled()
        assert made.topics == ["once", "other"]


async def test_the_key_of_a_dead_letter_is_free_but_its_frame_is_known(path: Path) -> None:
    async with rig(path, refusing) as made:
        made.take(table(ONCE), "log-1", b'{"k": "a"}')
        await made.settled()
        made.take(table(ONCE), "log-1", b'{"k": "a"}')
        assert (made.counts.duplicates, made.counts.target(HOME).dead) == (1, 1)
        made.take(table(ONCE), "log-2", b'{"k": "a"}')
        await made.settled()
        assert made.counts.target(HOME).dead == 2
    async with rig(path) as again:
        again.take(table(ONCE), "log-1", b'{"k": "a"}')
        again.take(table(ONCE), "log-3", b'{"k": "a"}')
        await again.settled()
        assert (again.topics, again.counts.duplicates) == (["once"], 1)


async def test_the_key_of_what_expired_is_free_but_its_frame_is_known(path: Path) -> None:
    async with rig(path, up=False) as made:
        made.take(table(BRIEF), "log-1", b'{"k": "a"}')
        over = asyncio.get_running_loop().time() + 1.0
        await eventually(lambda: asyncio.get_running_loop().time() > over)
        made.home.set_up(True)
        await made.settled()
        assert made.counts.target(HOME).expired == 1
        made.take(table(BRIEF), "log-1", b'{"k": "a"}')
        made.take(table(BRIEF), "log-2", b'{"k": "a"}')
        await made.settled()
        assert (made.topics, made.counts.duplicates) == (["once"], 1)


async def test_a_key_that_could_not_be_rendered_is_one_dead_letter(path: Path) -> None:
    async with rig(path) as made:
        for _ in range(2):
            made.take(table(ONCE), "log-1")
        assert (made.counts.target(HOME).dead, made.counts.duplicates) == (1, 1)
        [letter] = await made.journal.dead()
        assert (letter.code, letter.reason) == ("render", "body.k is missing")


async def test_a_dead_letter_can_be_accepted_again(path: Path) -> None:
    answers: Iterator[Result] = iter([Failure(FailureKind.PERMANENT, "http-400", "no"), DELIVERED])
    async with rig(path, lambda _: next(answers)) as made:
        made.take(table(RING), "log-1")
        await made.settled()
        hook = webhook(id="log-1")
        made.dispatcher.accept_again(hook, table(RING).route(hook).plans, 1)
        await made.settled()
        assert made.topics == ["ring"]


async def test_without_an_id_every_frame_is_a_webhook_of_its_own(path: Path) -> None:
    async with rig(path) as made:
        for _ in range(2):
            made.take(table(RING), "")
        await made.settled()
        assert made.topics == ["ring"] * 2
