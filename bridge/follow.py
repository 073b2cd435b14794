"""The passages as a stream for one client, who may be slow: what it can't take in time, it is told of."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, NamedTuple

from bridge.passages import KEPT, Leg, Passage, Passages

REPLAYED: Final = "replay-"
LOCAL: Final = "local-"
"""IDs of webhooks that an operator sent begin so."""
LONGEST: Final = 300
"""Characters of a text."""
MOST_LEGS: Final = 20
"""Deliveries of one webhook that are told of."""
PATIENCE: Final = 1.0
"""Seconds after which a webhook is told of though nothing became of it yet."""
PAUSE: Final = 0.05
"""Seconds between two looks, however much is going on."""
ALIVE: Final = 10.0
"""Seconds after which a client hears that there is nothing to hear."""

Line = dict[str, Any]


class Wanted(NamedTuple):
    """Which webhooks a client wants to see; every field that is given must fit."""

    bucket: str | None = None
    route: str | None = None
    outcome: str | None = None

    def takes(self, passage: Passage) -> bool:
        """Whether a webhook is one of them, whatever becomes of it."""
        if self.bucket not in (None, passage.facts["bucket"]):
            return False
        return self.route is None or self.route in _routes(passage)

    def shows(self, passage: Passage) -> bool:
        """Whether it is one of them as it stands now."""
        return self.takes(passage) and self.outcome in (None, passage.outcome)


class Follower:
    """What one client does not know yet. It holds numbers only, so a slow client costs no memory."""

    def __init__(
        self, passages: Passages, wanted: Wanted, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._passages = passages
        self._wanted = wanted
        self._monotonic = monotonic
        self._noted: dict[int, None] = {}
        self._told: dict[int, str] = {}
        """The outcome that the client knows, by the webhook's number."""
        self._missed = 0
        self._news = asyncio.Event()

    async def lines(self, past: int = 0) -> AsyncGenerator[Line | None, None]:
        """A line for each webhook when it came to its end, or is held up; None now and then.

        `{"missed": 3}` stands for three changes that the client was too slow for.

        Args:
            past: how many of the webhooks that came before are told of first.
        """
        known = [one for one in self._passages if self._wanted.shows(one)]
        stop = self._passages.listen(self.note)
        try:
            for passage in reversed(known[:past]):
                self._noted[passage.number] = None
            while True:
                for line in self.due():
                    yield line
                if not await self._news_come():
                    yield None
        finally:
            stop()

    def note(self, passage: Passage) -> None:
        """A webhook came, or something became of it."""
        if not self._wanted.takes(passage):
            return
        self._noted[passage.number] = None
        if len(self._noted) > KEPT:
            del self._noted[next(iter(self._noted))]
            self._missed += 1
        self._news.set()

    def due(self) -> list[Line]:
        """What the client has to be told now."""
        kept = {passage.number: passage for passage in self._passages}
        lines = []
        for number in list(self._noted):
            passage = kept.get(number)
            if passage is None:
                self._missed += 1
            elif self._is_early(passage):
                continue
            elif self._is_news(passage):
                lines.append(line_of(passage))
            del self._noted[number]
        self._told = {number: outcome for number, outcome in self._told.items() if number in kept}
        missed, self._missed = self._missed, 0
        return [{"missed": missed}, *lines] if missed else lines

    def _is_early(self, passage: Passage) -> bool:
        return passage.outcome == "pending" and self._monotonic() - passage.taken < PATIENCE

    def _is_news(self, passage: Passage) -> bool:
        outcome = passage.outcome
        if self._told.get(passage.number) == outcome:
            return False
        self._told[passage.number] = outcome
        return self._wanted.shows(passage)

    async def _news_come(self) -> bool:
        """Wait for news, or until a webhook has waited long enough; whether there can be any."""
        self._news.clear()
        try:
            async with asyncio.timeout(PATIENCE / 4 if self._noted else ALIVE):
                await self._news.wait()
        except TimeoutError:
            return bool(self._noted)
        await asyncio.sleep(PAUSE)
        return True


def line_of(passage: Passage) -> Line:
    """A webhook and what became of it, without its body, headers and query. Text of strangers, shortened."""
    facts = passage.facts
    return {
        "number": passage.number,
        "id": short(facts["id"]),
        "received_at": facts["received_at"],
        "from": _origin(facts["id"], late=facts["late"]),
        "bucket": short(facts["bucket"]),
        "input": short(facts["input"]),
        "method": short(facts["method"]),
        "path": short(facts["path"]),
        "routes": _routes(passage)[:MOST_LEGS],
        "outcome": passage.outcome,
        "latency": passage.latency,
        "deliveries": [_leg(leg) for leg in passage.legs[:MOST_LEGS]],
        "rejected": [
            {"route": route, "code": said.code, "reason": short(said.reason)}
            for route, said in passage.routed.rejected[:MOST_LEGS]
        ],
    }


def short(text: str) -> str:
    """A text that is not too long to be shown."""
    return f"{text[:LONGEST]}…" if len(text) > LONGEST else text


def _routes(passage: Passage) -> list[str]:
    """Those that matched, and those whose verifier said no."""
    return [*passage.routes, *(name for name, _ in passage.routed.rejected)]


def _origin(webhook_id: str, *, late: bool) -> str:
    if webhook_id.startswith(REPLAYED):
        return "replay"
    if webhook_id.startswith(LOCAL):
        return "local"
    return "log" if late else "relay"


def _leg(leg: Leg) -> Line:
    return {
        "route": leg.route,
        "target": leg.target,
        "where": short(leg.where.partition("?")[0]),
        "outcome": leg.outcome,
        "attempts": leg.attempts,
        "reason": short(leg.reason),
    }
