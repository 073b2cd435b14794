"""Webhooks that an operator has the bridge take: one made by hand, or one that came before, again."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
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
PROBE_HEADER: Final = "x-relay-bridge-probe"
"""By which a webhook that went through the relay is known again."""
COPIES: Final = 0.1
"""Seconds in which the relay's copies for further outputs of the bucket follow the first one."""
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

    async def send_around(
        self, webhook: Webhook, post: Callable[[Webhook], Awaitable[int]], wait: float
    ) -> tuple[int, list[Line]]:
        """Have a webhook sent at the relay's public address, and see it come.

        Args:
            webhook: as its sender would send it.
            post: sends it; the status of the answer.
            wait: seconds after the answer.

        Raises:
            ControlError: it did not come.
        """
        probe = secrets.token_hex(8)
        marked = replace(webhook, headers={**webhook.headers, PROBE_HEADER: (probe,)})
        with closing(_Watch(self._passages, lambda one: one.header(PROBE_HEADER) == probe)) as watch:
            status = await post(marked)
            deadline = _in(wait)
            await watch.settled(deadline)
            if not watch.found:
                raise ControlError(f"the relay answered {status}, and no webhook came within {wait:g} s")
            await asyncio.sleep(COPIES)
            await watch.settled(deadline)
            return status, watch.lines()

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
        ids = {one.id for one in webhooks}
        with closing(_Watch(self._passages, lambda one: one.id in ids)) as watch:
            for number, webhook in enumerate(webhooks, 1):
                accept(webhook)
                if number % TURN == 0:
                    await asyncio.sleep(0)
            if webhooks:
                await watch.settled(_in(wait))
            return watch.lines()

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
    """Sees what becomes of some webhooks."""

    def __init__(self, passages: Passages, wanted: Callable[[Webhook], bool]) -> None:
        self._wanted = wanted
        self._news = asyncio.Event()
        self.found: dict[int, Passage] = {}
        """By number."""
        self.close = passages.listen(self._note)

    def _note(self, passage: Passage) -> None:
        webhook = passage.webhook
        if passage.number in self.found or (webhook is not None and self._wanted(webhook)):
            self.found[passage.number] = passage
            self._news.set()

    def lines(self) -> list[Line]:
        """What became of each."""
        return [line_of(passage) for passage in self.found.values()]

    async def settled(self, deadline: float) -> None:
        """Return when one came and nothing is open any more, or at a time of the loop's clock."""
        try:
            async with asyncio.timeout_at(deadline):
                while not self.found or any(one.outcome in _OPEN for one in self.found.values()):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _again(webhook: Webhook) -> Webhook:
    first = webhook.id.rpartition("~")[2]  # of a replay of a replay
    return replace(webhook, id=f"{REPLAYED}{secrets.token_hex(4)}~{first}", late=True)
