"""Which routes are asked about a webhook: those that its bucket, and what most of them compare, leave."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from bridge.routing.match import Condition
from bridge.routing.sources import reader_of
from bridge.webhook import Webhook

FEWEST: Final = 4
"""Routes that compare the same source, below which asking each is as quick."""
MOST_CACHED: Final = 4096
"""Buckets, by name and ID, whose routes are remembered; more where the routes name more."""


class Asked(NamedTuple):
    """What is to be known of a route."""

    position: int
    """In the order of the file."""
    buckets: frozenset[str] | None
    """Names or IDs of the only buckets where it can match; None: any."""
    condition: Condition


class Narrowing:
    """Routes told apart by one source, of which most of them want certain texts."""

    def __init__(self, routes: Sequence[Asked]) -> None:
        source = _most_compared(routes)
        self._read = reader_of(source) if source else None
        self._by_text: dict[str, list[int]] = {}
        self._rest: list[int] = []
        """Positions of those that don't compare the source with certain texts."""
        for route in routes:
            texts = route.condition.texts.get(source)
            if texts is None:
                self._rest.append(route.position)
            else:
                for text in texts:
                    self._by_text.setdefault(text, []).append(route.position)

    def of(self, webhook: Webhook) -> Sequence[int]:
        """Positions of the routes that a webhook may match, ascending."""
        if self._read is None:
            return self._rest
        found = set(self._rest)
        for value in self._read(webhook):
            if value.__class__ is str:
                found.update(self._by_text.get(value, ()))
        return sorted(found)


class Candidates:
    """The routes of a table, by bucket. Both parts together take memory in proportion to the routes."""

    def __init__(self, routes: Sequence[Asked]) -> None:
        self._anywhere = Narrowing([route for route in routes if route.buckets is None])
        self._by_bucket: dict[str, list[Asked]] = {}
        for route in routes:
            for bucket in route.buckets or ():
                self._by_bucket.setdefault(bucket, []).append(route)
        self._known: dict[tuple[str, str], Narrowing] = {}
        self._most_known = max(MOST_CACHED, 2 * len(self._by_bucket))

    def of(self, webhook: Webhook) -> Sequence[int]:
        """Positions of the routes that a webhook may match, ascending."""
        anywhere = self._anywhere.of(webhook)
        named = self._named(webhook.bucket, webhook.bucket_id).of(webhook)
        return sorted((*anywhere, *named)) if anywhere and named else named or anywhere

    def _named(self, bucket: str, bucket_id: str) -> Narrowing:
        """Of the routes that name a bucket, found once per bucket."""
        found = self._known.get((bucket, bucket_id))
        if found is None:
            by_name, by_id = self._by_bucket.get(bucket, []), self._by_bucket.get(bucket_id, [])
            routes = {route.position: route for route in (*by_name, *by_id)}
            if len(self._known) >= self._most_known:
                self._known.clear()
            found = self._known[bucket, bucket_id] = Narrowing([routes[at] for at in sorted(routes)])
        return found


def _most_compared(routes: Sequence[Asked]) -> str:
    """The source that the most routes compare with certain texts; "" where it is not worth while."""
    count = Counter(source for route in routes for source in route.condition.texts if source != "bucket")
    (source, times), *_ = count.most_common(1) or [("", 0)]
    return source if times >= FEWEST else ""
