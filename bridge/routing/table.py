"""The route table: what is sent where for a webhook. Pure, and it never raises."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, NamedTuple

from bridge.errors import RenderError
from bridge.message import HttpRequest, Message, MqttMessage
from bridge.routing.candidates import Asked, Candidates
from bridge.routing.items import Item, MqttItem
from bridge.routing.judge import NO_TIME, NONE_ACCEPTED, Judge
from bridge.routing.match import Condition, all_of, holds
from bridge.routing.rate import Rate
from bridge.routing.reply import Reply, Replying, Source
from bridge.routing.scope import Scope
from bridge.routing.template import Template
from bridge.verify.replay import ReplayCache
from bridge.verify.verdict import Clock, Rejected, Verified
from bridge.verify.verifier import Verifier
from bridge.webhook import Webhook

UNMATCHED: Final = "unmatched"
"""Stands for the route where none matched, and for the target where such webhooks are dead letters."""
LONGEST_KEY: Final = 128
"""Characters of an order key; a longer one is replaced by its hash."""
_ASKED: Final = {Source.HTTP: HttpRequest, Source.MQTT: MqttMessage}


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
    scope: str = ""
    """Where deduplication keys hold: this item of this route. "": its repeats are not known for such."""
    dedupe: str | None = None
    """What the route deduplicates by, besides the webhook's identity."""
    asked: bool = False
    """Whether the target's answer is wanted for the sender."""


class Routed(NamedTuple):
    """What a table makes of one webhook."""

    plans: tuple[Plan, ...]
    matched: tuple[str, ...]
    """Names of the routes that matched, in their order."""
    failures: tuple[tuple[str, RenderError], ...] = ()
    """Routes whose `when` could not be evaluated, and so did not match."""
    rejected: tuple[tuple[str, Rejected], ...] = ()
    """Routes whose `match` holds and whose verifier said no: they send nothing."""
    verified: tuple[tuple[Verifier, Verified], ...] = ()
    """What verifiers of routes that matched said, to be told to them once the webhook is accepted."""
    reply: Replying | None = None
    """Of the first route that matched and has one; None, too, where nobody can be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route of the file."""

    name: str
    condition: Condition
    items: tuple[Item, ...]
    buckets: frozenset[str] | None = None
    """Names or IDs of the only buckets where the condition can hold; None: it can hold in any."""
    verifier: Verifier | None = None
    """Asked between the condition and the first template: no template sees a stranger's webhook."""
    when: Template | None = None
    """Compiled for Place.VALUE."""
    dedupe: Template | None = None
    """Compiled for Place.TEXT."""
    order: Template | NoOrder | None = None
    """Compiled for Place.TEXT; None: the route's name."""
    final: bool = False
    """No later route is tried where this one matches, or where its condition holds and its verifier says no:
    else a forgery would fall through to a route that asks for no signature."""
    enabled: bool = True
    rate: Rate | None = None
    """Asked when its webhooks are delivered, as that takes a clock."""
    reply: Reply | None = None
    _named_items: tuple[tuple[Item, str], ...] = field(init=False, repr=False)
    """Each with the scope of its deduplication keys."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named_items", tuple(_named(self.name, self.items)))

    def wants(self, scope: Scope) -> bool:
        """Whether `when` holds, too, for a webhook that meets the condition and is verified.

        Raises:
            RenderError: `when` failed.
        """
        return self.when is None or holds(self.when, scope)

    def plans(self, scope: Scope) -> list[Plan]:
        """What it sends for a webhook that it matched; a template that fails costs its own delivery only."""
        try:
            key, dedupe = self._order_key(scope), self._dedupe_key(scope)
        except RenderError as error:
            return [
                Plan(self.name, item.target, self.name, None, error, item.expire_after, name)
                for item, name in self._named_items
            ]
        return [_plan(self.name, item, key, scope, name, dedupe) for item, name in self._named_items]

    def replying(self, scope: Scope, plans: list[Plan]) -> Replying | None:
        """How the sender is answered; the plan whose target shall answer is marked."""
        if self.reply is None:
            return None
        own = Replying(self.name, self.reply.answer(scope))
        kind = None if self.reply.source is None else _ASKED[self.reply.source]
        for index, plan in enumerate(plans):
            if kind is not None and isinstance(plan.message, kind):
                plans[index] = plan._replace(asked=True)
                return own._replace(timeout=self.reply.timeout)
        return own

    def _order_key(self, scope: Scope) -> str | None:
        if self.order is None:
            return self.name
        if isinstance(self.order, NoOrder):
            return None
        key = self.order.render(scope)
        if len(key) <= LONGEST_KEY:
            return key
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    def _dedupe_key(self, scope: Scope) -> str | None:
        # An empty key is none: webhooks that all lack a header are not all the same.
        return self.dedupe.render(scope) or None if self.dedupe is not None else None


def _named(route: str, items: Sequence[Item]) -> Iterator[tuple[Item, str]]:
    """Items, each with a name that outlives edits of the others: the route, and where it sends to."""
    twins: Counter[str] = Counter()
    for item in items:
        address = item.topic.source if isinstance(item, MqttItem) else item.url.source
        name = f"{route}\0{item.target}\0{address}"
        twins[name] += 1
        yield item, f"{name}\0{twins[name]}"


def _plan(route: str, item: Item, key: str | None, scope: Scope, name: str, dedupe: str | None) -> Plan:
    try:
        return Plan(route, item.target, key, item.render(scope), None, item.expire_after, name, dedupe)
    except RenderError as error:
        return Plan(route, item.target, key, None, error, item.expire_after, name)


class _Routing:
    """One webhook on its way through the table."""

    __slots__ = ("failures", "judge", "matched", "plans", "rejected", "reply", "verified", "webhook")

    def __init__(self, webhook: Webhook, judge: Judge) -> None:
        self.webhook = webhook
        self.judge = judge
        self.plans: list[Plan] = []
        self.matched: list[str] = []
        self.failures: list[tuple[str, RenderError]] = []
        self.rejected: tuple[tuple[str, Rejected], ...] = ()
        self.verified: tuple[tuple[Verifier, Verified], ...] = ()
        self.reply: Replying | None = None

    def take(self, route: Route) -> bool:
        """Add what a route does whose condition holds; whether the search ends with it."""
        verdict = None if route.verifier is None else self.judge.verdict(route.verifier)
        if isinstance(verdict, Rejected):
            self.rejected += ((route.name, verdict),)
            return route.final
        scope = Scope(self.webhook, route.name)
        try:
            if not route.wants(scope):
                return False
        except RenderError as error:
            self.failures.append((route.name, error))
            return False
        self.matched.append(route.name)
        plans = route.plans(scope)
        if self.reply is None and self.webhook.can_be_answered:
            self.reply = route.replying(scope, plans)
        self.plans += plans
        if verdict is not None and route.verifier is not None:
            self._verified_by(route.verifier, verdict)
        return route.final

    def _verified_by(self, verifier: Verifier, verdict: Verified) -> None:
        if (verifier, verdict) not in self.verified:
            self.verified += ((verifier, verdict),)

    def routed(self) -> Routed:
        return Routed(
            tuple(self.plans),
            tuple(self.matched),
            tuple(self.failures),
            self.rejected,
            self.verified,
            self.reply,
        )


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
        self._candidates = Candidates(
            [Asked(at, route.buckets, route.condition) for at, route in enumerate(self._enabled)]
        )
        items = unmatched if isinstance(unmatched, tuple) else ()
        self.fallback = Route(name=UNMATCHED, condition=all_of([]), items=items)
        """Stands for the route where none matched."""

    @property
    def buckets(self) -> frozenset[str] | None:
        """The buckets that enabled routes name; None where one of them takes any."""
        named = [route.buckets for route in self._enabled]
        known = [buckets for buckets in named if buckets is not None]
        return frozenset[str]().union(*known) if len(known) == len(named) else None

    @property
    def rates(self) -> dict[str, Rate]:
        """How often routes may send, by their names."""
        return {route.name: route.rate for route in self.routes if route.rate is not None}

    def route(self, webhook: Webhook, clock: Clock = NO_TIME, replays: ReplayCache = NONE_ACCEPTED) -> Routed:
        """What to send for a webhook: every route that matches delivers, until a final one did.

        Args:
            webhook: the webhook.
            clock: by which its age is judged; left out, it is not judged.
            replays: what was accepted before; it is only asked.
        """
        routing = _Routing(webhook, Judge(webhook, clock, replays))
        for at in self._candidates.of(webhook):
            route = self._enabled[at]
            if route.condition.test(webhook) and routing.take(route):
                break
        # Who was turned away must not get in by the back door.
        if not (routing.matched or routing.rejected):
            routing.plans = self.unmatched_plans(webhook)
        return routing.routed()

    def unmatched_plans(self, webhook: Webhook) -> list[Plan]:
        """What is sent for a webhook that no route takes."""
        if self.unmatched == "count":
            return []
        if self.unmatched == "dead":
            error = RenderError("no route matched")
            return [Plan(UNMATCHED, UNMATCHED, None, None, error, None, UNMATCHED)]
        return self.fallback.plans(Scope(webhook, UNMATCHED))
