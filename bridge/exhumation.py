"""Dead letters for an operator: listed, shown, tried again by today's routes, purged."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bridge.control import ControlError
from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.repeats import keys_of
from bridge.journal.journal import Journal
from bridge.journal.rows import DeadLetter
from bridge.message import HttpRequest, Message
from bridge.routing.table import UNMATCHED, Plan, Routed
from bridge.webhook import Webhook

PAGE = 500
"""Dead letters in one answer."""
PORTION = 1 << 20
"""Bytes of dead letters that are in memory at once for another try."""
SHOWN_BODY = 64 * 1024
"""Bytes of a body."""

GONE = "there is no such dead letter"
ACCEPTED_BEFORE = "what its route sends there now was accepted before"

Exhumed = tuple[Webhook, DeadLetter]
Replan = Callable[[Webhook], tuple[Routed, int]]
"""What today's table makes of a webhook that was accepted before, and the table's generation."""


class Selection(NamedTuple):
    """Which dead letters are listed; every field that is given must fit."""

    route: str | None = None
    target: str | None = None
    code: str | None = None
    older_than: float | None = None
    """Seconds."""
    after: int = 0
    """The ID behind which the listing begins."""


class Exhumation:
    """What the control socket's `dead` commands do."""

    def __init__(self, journal: Journal, dispatcher: Dispatcher, replan: Replan) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._replan = replan
        self._one_at_a_time = asyncio.Lock()

    async def page(self, wanted: Selection) -> Mapping[str, object]:
        """Dead letters by ID, and the ID to go on after: None where there are no more."""
        before = None if wanted.older_than is None else self._journal.clock.stamp() - wanted.older_than
        letters = await self._journal.dead(
            route=wanted.route,
            target=wanted.target,
            code=wanted.code,
            before=before,
            limit=PAGE,
            after=wanted.after,
        )
        more = letters[-1].id if len(letters) == PAGE else None
        return {"letters": [_summary(letter) for letter in letters], "after": more}

    async def show(self, number: int) -> Mapping[str, object]:
        """One dead letter with its webhook; header values stay out, since they can hold secrets.

        Raises:
            ControlError: there is none of this ID.
        """
        found = await self._journal.exhume(number)
        if found is None:
            raise ControlError(GONE)
        webhook, letter = found
        return {"letter": _summary(letter) | {"webhook": _webhook(webhook)}}

    async def retry(self, ids: Sequence[int]) -> Mapping[str, object]:
        """Deliver again by today's routes; what can't be stays, and is named with the reason.

        Raises:
            ControlError: the journal is full.
            JournalError: not everything could be stored; what was not stays a dead letter.
        """
        async with self._one_at_a_time:
            kept: dict[int, str] = {}
            left = list(dict.fromkeys(ids))
            while left:
                if self._journal.full:
                    raise ControlError(f"nothing more can be retried now: {self._journal.full}")
                found = await self._journal.exhume_all(left, PORTION)
                kept |= await self._retry_portion(found)
                left = left[len(found) :]
        return {"kept": [{"id": one, "reason": reason} for one, reason in kept.items()]}

    async def _retry_portion(self, portion: Mapping[int, Exhumed | None]) -> dict[int, str]:
        """Why each of those that stay does."""
        outcome = {one: self._retry(*found) if found else GONE for one, found in portion.items()}
        # Durable before the letters go: a crash between the two leaves one of them at least.
        await self._dispatcher.save()
        await self._journal.discard([one for one, reason in outcome.items() if not reason])
        return {one: reason for one, reason in outcome.items() if reason}

    def _retry(self, webhook: Webhook, letter: DeadLetter) -> str:
        """Accept it anew; else why not."""
        routed, generation = self._replan(webhook)
        webhook.forget()
        if letter.target == UNMATCHED:
            plans = [plan for plan in routed.plans if plan.target != UNMATCHED]
            accept = self._dispatcher.accept_missed
        elif own := _own(webhook, routed.plans, letter):
            plans = [own]
            accept = self._dispatcher.accept_again
        else:
            # Which of them it was is not known any more: those go that its webhook was never accepted for.
            plans = _siblings(routed.plans, letter)
            accept = self._dispatcher.accept_missed
        if reason := _obstacle(routed, plans, letter):
            return reason
        return "" if accept(webhook, plans, generation) else ACCEPTED_BEFORE

    async def purge(self, ids: Sequence[int]) -> Mapping[str, object]:
        """Remove dead letters for good."""
        return {"purged": await self._journal.discard(ids)}


def _own(webhook: Webhook, plans: Sequence[Plan], letter: DeadLetter) -> Plan | None:
    """Today's plan of the item that a dead letter was made of.

    Where its webhook had no ID to know that by, the plan for its place, or for its target if there is one.
    """
    if letter.identity is not None:
        known = (plan for plan, keys in keys_of(webhook, plans) if keys.identity == letter.identity)
        return next(known, None)
    same = _siblings(plans, letter)
    if len(same) > 1:
        place = _place(letter.message)
        same = [plan for plan in same if plan.message is not None and _place(plan.message) == place]
    return same[0] if len(same) == 1 else None


def _siblings(plans: Sequence[Plan], letter: DeadLetter) -> list[Plan]:
    """Today's plans of a dead letter's route that go to its target."""
    return [plan for plan in plans if (plan.route, plan.target) == (letter.route, letter.target)]


def _obstacle(routed: Routed, plans: Sequence[Plan], letter: DeadLetter) -> str:
    """Why a dead letter has to stay; "" where nothing is in its way."""
    errors = [str(plan.error) for plan in plans if plan.error is not None]
    if errors:
        return f"it can still not be rendered: {errors[0]}"
    if plans:
        return ""
    for route, rejected in routed.rejected:
        if route == letter.route or letter.target == UNMATCHED:
            return f"the verifier of route {route} says {rejected.code}: {rejected.reason}"
    if letter.target == UNMATCHED:
        return "still no route takes it"
    return f"route {letter.route} sends it no more to {letter.target}"


def _place(message: Message) -> str:
    return message.url if isinstance(message, HttpRequest) else message.topic


def _summary(letter: DeadLetter) -> dict[str, object]:
    """A dead letter in a listing: no header, no query and no body is in it."""
    return {
        "id": letter.id,
        "route": letter.route,
        "target": letter.target,
        "place": _place(letter.message).partition("?")[0],
        "code": letter.code,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "at": letter.at,
        "generation": letter.generation,
    }


def _webhook(webhook: Webhook) -> dict[str, object]:
    return {
        "id": webhook.id,
        "bucket": webhook.bucket,
        "input": webhook.input,
        "method": webhook.method,
        "path": webhook.path,
        "headers": sorted(webhook.headers),
        "received_at": webhook.received_at,
        "body": webhook.raw[:SHOWN_BODY].decode("utf-8", "replace"),
        "bytes": len(webhook.raw),
    }
