"""What was accepted before, so that a webhook that comes again causes nothing twice.

Each item of each route has keys of its own: what an edit of the routing file adds is sent for a repeated
webhook, too. A key is taken when its delivery is accepted. The identity's key stays taken whatever becomes of
the delivery; the one that the route deduplicates by is free again where the delivery is given up.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from bridge.journal.journal import Journal
from bridge.journal.rows import dedupe_digest
from bridge.message import Delivery
from bridge.routing.table import Plan
from bridge.webhook import Webhook


class Keys(NamedTuple):
    """The digests of a plan's keys."""

    identity: int | None
    dedupe: int | None


Fresh = tuple[Plan, Keys]
"""A plan that is to be carried out."""


class Repeats:
    """Keys of deliveries, in memory and, once they came to an end, in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def fresh(self, webhook: Webhook, plans: Sequence[Plan], *, again: bool = False) -> list[Fresh]:
        """The plans that were not accepted before; their keys are taken from now on.

        Args:
            webhook: the webhook.
            plans: what is to be sent of it.
            again: what was accepted of just these plans came to nothing: only another webhook with the same
                key of the route is in the way.
        """
        known = self._journal.keys
        found = []
        for plan, keys in keys_of(webhook, plans):
            if (again or keys.identity not in known) and keys.dedupe not in known:
                found.append((plan, keys))
                for key in keys:
                    if key is not None:
                        known.add(key)
        return found

    def delivered(self, delivery: Delivery) -> None:
        """Its keys outlive the process, in the transaction of what follows."""
        if digests := delivery.digests:
            self._journal.remember(digests)

    def given_up(self, delivery: Delivery) -> None:
        """Dead or expired: what deduplicates by the same key gets its chance."""
        if delivery.dedupe is not None:
            self._journal.keys.discard(delivery.dedupe)
        if delivery.identity is not None:
            self._journal.remember([delivery.identity])


def keys_of(webhook: Webhook, plans: Sequence[Plan]) -> list[Fresh]:
    """Each plan with its keys."""
    frame = webhook.identity
    identity = None if frame is None else dedupe_digest("identity", "\0".join(frame))
    return [(plan, _keys(plan, identity)) for plan in plans]


def _keys(plan: Plan, identity: int | None) -> Keys:
    if not plan.scope:
        return Keys(None, None)
    scope = _digest_of_scope(plan.scope)
    return Keys(
        None if identity is None else identity ^ scope,
        None if plan.dedupe is None else dedupe_digest("dedupe", plan.dedupe) ^ scope,
    )


@lru_cache(maxsize=16_384)
def _digest_of_scope(scope: str) -> int:
    return dedupe_digest("scope", scope)
