"""The route table: what is sent where for a webhook. Pure, and it never raises."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, NamedTuple

from bridge.errors import RenderError
from bridge.message import Message
from bridge.routing.items import Item
from bridge.routing.match import Condition, Mismatch, holds
from bridge.routing.scope import Scope
from bridge.routing.template import Template
from bridge.webhook import Webhook

UNMATCHED: Final = "unmatched"
"""Stands for the route where none matched, and for the target where such webhooks are dead letters."""
MOST_CACHED: Final = 4096
"""Buckets whose candidate routes are remembered."""
LONGEST_KEY: Final = 128
"""Characters of an order key; a longer one is replaced by its hash."""


class NoOrder(Enum):
    """`order: none`, as a type of its own."""

    NO_ORDER = "none"


NO_ORDER: Final = NoOrder.NO_ORDER


class Plan(NamedTuple):
    """One delivery to make: a message, or the error that kept it from being rendered."""

    route: str
    target: str
    order_key: str | None
    """Plans of one (target, order_key) keep their order; None: no order."""
    message: Message | None
    error: RenderError | None
    """Set where `message` is None: the delivery is a dead letter at once."""
    expire_after: float | None
    """Seconds; None: never."""


class Routed(NamedTuple):
    """What a table makes of one webhook."""

    plans: tuple[Plan, ...]
    matched: tuple[str, ...]
    """Names of the routes that matched, in their order."""
    failures: tuple[tuple[str, RenderError], ...] = ()
    """Routes whose `when` could not be evaluated, and so did not match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route of the file."""

    name: str
    condition: Condition
    items: tuple[Item, ...]
    buckets: frozenset[str] | None = None
    """Names or IDs of the only buckets where the condition can hold; None: it can hold in any."""
    when: Template | None = None
    """Compiled for Place.VALUE."""
    order: Template | NoOrder | None = None
    """Compiled for Place.TEXT; None: the route's name."""
    final: bool = False
    """Where it matches, no later route is tried."""
    enabled: bool = True

    def matches(self, scope: Scope) -> bool:
        """Whether it takes a webhook.

        Raises:
            RenderError: `when` failed.
        """
        return self.condition.test(scope.webhook) and (self.when is None or holds(self.when, scope))

    def plans(self, scope: Scope) -> list[Plan]:
        """What it sends for a webhook that it matched; a template that fails costs its own delivery only."""
        try:
            key = self._order_key(scope)
        except RenderError as error:
            return [_failed(self.name, item, self.name, error) for item in self.items]
        return [_plan(self.name, item, key, scope) for item in self.items]

    def _order_key(self, scope: Scope) -> str | None:
        if self.order is None:
            return self.name
        if isinstance(self.order, NoOrder):
            return None
        key = self.order.render(scope)
        if len(key) <= LONGEST_KEY:
            return key
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _plan(route: str, item: Item, key: str | None, scope: Scope) -> Plan:
    try:
        return Plan(route, item.target, key, item.render(scope), None, item.expire_after)
    except RenderError as error:
        return _failed(route, item, key, error)


def _failed(route: str, item: Item, key: str | None, error: RenderError) -> Plan:
    return Plan(route, item.target, key, None, error, item.expire_after)


class Verdict(Enum):
    """What became of a route in a dry run."""

    MATCHED = "matched"
    MISMATCH = "mismatch"
    FAILED = "failed"
    """Its `when` could not be evaluated."""
    DISABLED = "disabled"
    NOT_REACHED = "not reached"
    """A final route matched before."""


@dataclass(frozen=True, slots=True)
class RouteTrace:
    """One route's part in a dry run."""

    route: str
    verdict: Verdict
    mismatch: Mismatch | None = None
    """The comparison that failed; its source is `when` where that was false."""
    error: RenderError | None = None
    plans: tuple[Plan, ...] = ()


class RouteTable:
    """The routes of a routing file, in its order."""

    def __init__(
        self,
        routes: Sequence[Route],
        unmatched: Literal["count", "dead"] | tuple[Item, ...] = "count",
    ) -> None:
        self.routes = tuple(routes)
        self.unmatched = unmatched
        self._enabled = tuple(route for route in self.routes if route.enabled)
        self._candidates: dict[tuple[str, str], tuple[Route, ...]] = {}

    @property
    def buckets(self) -> frozenset[str] | None:
        """The buckets that enabled routes name; None where one of them takes any."""
        named = [route.buckets for route in self._enabled]
        known = [buckets for buckets in named if buckets is not None]
        return frozenset[str]().union(*known) if len(known) == len(named) else None

    def route(self, webhook: Webhook) -> Routed:
        """What to send for a webhook: every route that matches delivers, until a final one did."""
        plans: list[Plan] = []
        matched: list[str] = []
        failures: list[tuple[str, RenderError]] = []
        for route in self._candidates_for(webhook):
            scope = Scope(webhook, route.name)
            try:
                if not route.matches(scope):
                    continue
            except RenderError as error:
                failures.append((route.name, error))
                continue
            matched.append(route.name)
            plans += route.plans(scope)
            if route.final:
                break
        if not matched:
            plans = self._unmatched_plans(webhook)
        return Routed(tuple(plans), tuple(matched), tuple(failures))

    def explain(self, webhook: Webhook) -> list[RouteTrace]:
        """A dry run: every route and what became of it; then what `unmatched` sends, if it does."""
        traces: list[RouteTrace] = []
        matched = ended = False
        for route in self.routes:
            trace = RouteTrace(route.name, Verdict.NOT_REACHED) if ended else _trace(route, webhook)
            traces.append(trace)
            if trace.verdict is Verdict.MATCHED:
                matched, ended = True, route.final
        if not matched and (plans := self._unmatched_plans(webhook)):
            traces.append(RouteTrace(UNMATCHED, Verdict.MATCHED, plans=tuple(plans)))
        return traces

    def _candidates_for(self, webhook: Webhook) -> tuple[Route, ...]:
        """The routes whose buckets don't exclude a webhook, found once per bucket."""
        key = (webhook.bucket, webhook.bucket_id)
        found = self._candidates.get(key)
        if found is None:
            found = tuple(
                route for route in self._enabled if route.buckets is None or not route.buckets.isdisjoint(key)
            )
            if len(self._candidates) >= MOST_CACHED:
                self._candidates.clear()
            self._candidates[key] = found
        return found

    def _unmatched_plans(self, webhook: Webhook) -> list[Plan]:
        if self.unmatched == "count":
            return []
        if self.unmatched == "dead":
            return [Plan(UNMATCHED, UNMATCHED, None, None, RenderError("no route matched"), None)]
        scope = Scope(webhook, UNMATCHED)
        return [_plan(UNMATCHED, item, UNMATCHED, scope) for item in self.unmatched]


def _trace(route: Route, webhook: Webhook) -> RouteTrace:
    if not route.enabled:
        return RouteTrace(route.name, Verdict.DISABLED)
    scope = Scope(webhook, route.name)
    try:
        if route.matches(scope):
            return RouteTrace(route.name, Verdict.MATCHED, plans=tuple(route.plans(scope)))
        return RouteTrace(route.name, Verdict.MISMATCH, mismatch=_mismatch(route, scope))
    except RenderError as error:
        return RouteTrace(route.name, Verdict.FAILED, error=error)


def _mismatch(route: Route, scope: Scope) -> Mismatch | None:
    failed = route.condition.failure(scope.webhook)
    if failed is not None or route.when is None:
        return failed
    return Mismatch("when", "is true", route.when.source, (route.when.value(scope),))
