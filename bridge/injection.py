"""Webhooks that an operator has the bridge take: one made by hand, or one that came before, again."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from bridge.control import ControlError
from bridge.follow import LOCAL, REPLAYED, Line, line_of
from bridge.intake import Intake
from bridge.passages import Passage, Passages
from bridge.webhook import Webhook

MOST: Final = 200
"""Webhooks in one go."""
TURN: Final = 20
"""Webhooks taken before live ones have their turn again."""
_OPEN: Final = {"pending", "retrying"}


class Injection:
    """Gives webhooks to the intake, and waits for what becomes of them.

    Each has an ID of its own, so that neither the bridge nor a receiver takes it for a repeat, and counts
    as late: nobody waits for an answer to it.
    """

    def __init__(self, passages: Passages, intake: Intake) -> None:
        self._passages = passages
        self._intake = intake

    async def send(self, webhook: Webhook, wait: float) -> list[Line]:
        """Take a webhook as if the relay had sent it. `wait` is in seconds."""
        made = replace(webhook, id=LOCAL + secrets.token_hex(8), late=True)
        return await self._take([made], self._intake.accept, wait)

    async def replay(self, webhooks: Sequence[Webhook], wait: float) -> list[Line]:
        """Take webhooks again, in this order. `wait` is in seconds, for all of them.

        Raises:
            ControlError: they are too many.
        """
        if len(webhooks) > MOST:
            raise ControlError(f"these are {len(webhooks)} webhooks, and {MOST} go at once: say fewer")
        return await self._take([_again(one) for one in webhooks], self._intake.replay, wait)

    async def _take(
        self, webhooks: Sequence[Webhook], accept: Callable[[Webhook], None], wait: float
    ) -> list[Line]:
        """The lines of all, as they are when nothing is open any more or the time is up."""
        watch = _Watch(self._passages, {one.id for one in webhooks})
        try:
            for number, webhook in enumerate(webhooks, 1):
                accept(webhook)
                if number % TURN == 0:
                    await asyncio.sleep(0)
            await watch.settled(wait)
        finally:
            watch.close()
        return [line_of(passage) for passage in watch.found.values()]

    def kept(self, *, since: float = 0.0) -> list[Webhook]:
        """The webhooks that are still known with their bodies, oldest first; `since` is Unix time."""
        whole = [passage.webhook for passage in self._passages if passage.facts["received_at"] >= since]
        return [one for one in reversed(whole) if one is not None]

    def numbered(self, numbers: Sequence[int]) -> list[Webhook]:
        """The webhooks of these numbers.

        Raises:
            ControlError: one of them is not known any more.
        """
        return [self._numbered(number) for number in numbers]

    def _numbered(self, number: int) -> Webhook:
        passage = self._passages.find(number)
        if passage is None:
            raise ControlError(f"webhook {number} is not among the last ones; --from-relay knows older ones")
        if passage.webhook is None:
            raise ControlError(f"the body of webhook {number} is not kept any more; --from-relay may have it")
        return passage.webhook


class _Watch:
    """Sees what becomes of webhooks with these IDs."""

    def __init__(self, passages: Passages, ids: set[str]) -> None:
        self._ids = ids
        self._news = asyncio.Event()
        self.found: dict[str, Passage] = {}
        self.close = passages.listen(self._note)

    def _note(self, passage: Passage) -> None:
        if passage.id in self._ids:
            self.found[passage.id] = passage
            self._news.set()

    async def settled(self, wait: float) -> None:
        """Return when nothing is open any more, or after `wait` seconds."""
        try:
            async with asyncio.timeout(wait):
                while any(passage.outcome in _OPEN for passage in self.found.values()):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return


def _again(webhook: Webhook) -> Webhook:
    first = webhook.id.rpartition("~")[2]  # of a replay of a replay
    return replace(webhook, id=f"{REPLAYED}{secrets.token_hex(4)}~{first}", late=True)
