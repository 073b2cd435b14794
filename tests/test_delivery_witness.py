"""Every delivery's fate is told once, whichever way it ends."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher, Limits
from bridge.delivery.retry import Retry
from bridge.errors import RenderError
from bridge.journal.journal import Journal
from bridge.message import DELIVERED, Delivery, Failure, FailureKind, MqttMessage, Result
from bridge.routing.table import Plan
from bridge.webhook import Webhook
from tests.support.deliveries import ScriptedTarget, webhook
from tests.support.waiting import eventually

HOME = "mqtt:home"
MIB = 1024 * 1024
BUSY = Failure(FailureKind.BUSY, "http-503", "busy")
TOO_LARGE = Failure(FailureKind.PERMANENT, "http-413", "too large")
FORBIDDEN = Failure(FailureKind.REFUSED, "http-403", "forbidden")


class Told:
    """A witness that remembers."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str, str]] = []
        self.delays: list[tuple[str, Failure]] = []
        self.repeats: list[tuple[str, int]] = []

    def settled(self, delivery: Delivery, outcome: str, reason: str = "") -> None:
        assert delivery.done
        self.ends.append((delivery.webhook.id, outcome, reason))

    def delayed(self, delivery: Delivery, failure: Failure) -> None:
        assert not delivery.done
        self.delays.append((delivery.webhook.id, failure))

    def repeated(self, webhook: Webhook, plans: Sequence[Plan]) -> None:
        self.repeats.append((webhook.id, len(plans)))


class Stage:
    """A dispatcher with a witness, and one target."""

    def __init__(self, journal: Journal) -> None:
        self.told = Told()
        self.counts = Counts()
        self.dispatcher = Dispatcher(
            journal, self.counts, limits=Limits(held_bytes=200_000), witness=self.told, rand=lambda: 0.0
        )
        self.target = ScriptedTarget(HOME)
        self.target.listener = self.dispatcher
        self.dispatcher.use({HOME: (self.target, Retry(attempts=3, first=0.01, longest=0.02))})
        journal.listen(on_full=lambda _: self.dispatcher.check_room(), on_room=self.dispatcher.check_room)

    def answer(self, answer: Callable[[Delivery], Result]) -> None:
        self.target.answer = answer

    def accept(self, name: str, *, body: bytes = b"", **fields: Any) -> None:
        plan = Plan("route", HOME, None, MqttMessage("a/b"), None, None)._replace(**fields)
        self.dispatcher.accept(webhook(body, id=name), [plan], 1)

    async def settled(self) -> None:
        await eventually(lambda: not self.dispatcher.owed().get(HOME))


@asynccontextmanager
async def stage(path: Path, max_bytes: int = 64 * MIB) -> AsyncIterator[Stage]:
    journal = await Journal.open(path, max_bytes=max_bytes)
    made = Stage(journal)
    try:
        yield made
    finally:
        await made.dispatcher.stop()
        await journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


async def test_a_success_is_told_once(path: Path) -> None:
    async with stage(path) as made:
        made.accept("one")
        await made.settled()
        assert made.told.ends == [("one", "delivered", "")]
        assert made.told.delays == []


async def test_what_came_before_is_told_as_a_repeat(path: Path) -> None:
    async with stage(path) as made:
        made.accept("one", scope="an item")
        made.accept("one", scope="an item")
        await made.settled()
        assert made.told.ends == [("one", "delivered", "")]
        assert made.told.repeats == [("one", 1)]


async def test_a_try_that_is_repeated_is_told_before_the_end(path: Path) -> None:
    async with stage(path) as made:
        answers: Iterator[Result] = iter([BUSY, BUSY, DELIVERED])
        made.answer(lambda _: next(answers))
        made.accept("one")
        await made.settled()
        assert made.told.delays == [("one", BUSY)] * 2
        assert made.told.ends == [("one", "delivered", "")]


async def test_a_dead_letter_is_told_with_its_code_and_reason(path: Path) -> None:
    async with stage(path) as made:
        made.answer(lambda _: TOO_LARGE)
        made.accept("one")
        made.accept("two", message=None, error=RenderError("body has no door"))
        await made.settled()
        assert sorted(made.told.ends) == [
            ("one", "dead", "http-413: too large"),
            ("two", "dead", "render: body has no door"),
        ]
        assert made.told.delays == []


async def test_what_expires_is_told_by_what_becomes_of_it(path: Path) -> None:
    async with stage(path) as made:
        made.answer(lambda delivery: FORBIDDEN if delivery.webhook.id == "refused" else BUSY)
        made.accept("refused", expire_after=0.01)
        made.accept("late", expire_after=0.01)
        await made.settled()
        assert sorted(made.told.ends) == [
            ("late", "expired", ""),
            ("refused", "dead", "http-403: expired while refused: forbidden"),
        ]


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
async def test_what_gives_way_is_told(path: Path, policy: str) -> None:
    async with stage(path, MIB) as made:
        made.dispatcher.when_full(policy)
        made.target.up = False
        for number in range(300):
            made.accept(str(number), body=b"x" * 8000)
            if number % 10 == 0:
                await asyncio.sleep(0)
                await eventually(lambda: made.dispatcher.unsaved == 0)
        made.target.set_up(True)
        await made.settled()
        ends = Counter(outcome for _, outcome, _ in made.told.ends)
        counts = made.counts.target(HOME)
        assert counts.evicted > 50
        assert ends == {"evicted": counts.evicted, "delivered": counts.delivered}
        assert len({name for name, _, _ in made.told.ends}) == 300
