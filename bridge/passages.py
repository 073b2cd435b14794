"""The last webhooks and what became of each, for people to look at. It looks on, and sits in nobody's way."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from bridge.message import Delivery, Failure, Message, MqttMessage
from bridge.routing.table import Plan, Routed
from bridge.webhook import Webhook

log = logging.getLogger(__name__)

KEPT: Final = 200
BYTES: Final = 2 * 1024 * 1024
"""Of the webhooks themselves; where they are large, fewer of them are kept than passages."""

Listener = Callable[["Passage"], None]


class Fate(NamedTuple):
    """How a delivery stands."""

    route: str
    target: str
    where: str
    outcome: str
    """retrying, delivered, dead, expired, evicted or duplicate."""
    attempts: int
    reason: str
    finished: float | None
    """Monotonic time; None where it is not at its end."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One delivery of a webhook, for people."""

    route: str
    target: str
    where: str
    """The topic, or method and URL: text of a webhook, hostile where it is shown."""
    outcome: str = "pending"
    """pending, retrying, delivered, dead, expired, evicted or duplicate."""
    attempts: int = 0
    """Those that the target answered."""
    reason: str = ""
    """Why it is dead or is tried again."""
    finished: float | None = None
    """Monotonic time."""


class Passage:
    """One webhook's way through the bridge. What is shown of it is made when somebody looks."""

    __slots__ = ("_webhook", "fates", "is_whole", "number", "routed", "size", "taken")

    def __init__(self, number: int, webhook: Webhook, routed: Routed, taken: float) -> None:
        self.number = number
        """Counts the webhooks of this process."""
        self.is_whole = True
        """Whether the webhook is kept with its body and headers."""
        self._webhook = webhook
        self.routed = routed
        self.taken = taken
        """Monotonic time."""
        self.fates: dict[int, Fate] = {}
        """By the delivery's number."""
        self.size = len(webhook.raw) * (1 + len(routed.plans))
        """Bytes that it holds, roughly."""

    @property
    def webhook(self) -> Webhook | None:
        """The webhook; None where it is not kept any more."""
        return self._webhook if self.is_whole else None

    @property
    def id(self) -> str:
        """The relay's ID of the webhook."""
        return self._webhook.id

    @property
    def facts(self) -> dict[str, Any]:
        """The webhook without its body and headers. Strangers' text."""
        one = self._webhook
        return {
            "id": one.id,
            "bucket": one.bucket or one.bucket_id,
            "input": one.input,
            "method": one.method,
            "path": one.path,
            "received_at": one.received_at,
            "late": one.late,
        }

    @property
    def routes(self) -> tuple[str, ...]:
        """Names of the routes that matched."""
        return self.routed.matched

    @property
    def legs(self) -> list[Leg]:
        """Its deliveries, in the order of the routes."""
        fates = list(self.fates.values())
        return [_leg(plan, fates) for plan in self.routed.plans]

    @property
    def outcome(self) -> str:
        """All of it in one word: its worst delivery's, or why there is none."""
        outcomes = {leg.outcome for leg in self.legs}
        if not outcomes:
            return "rejected" if self.routed.rejected else "matched" if self.routes else "unmatched"
        return next(one for one in _WORST_FIRST if one in outcomes)

    @property
    def latency(self) -> float | None:
        """Seconds until the last of it came to its end; None while something is pending."""
        ends = [leg.finished for leg in self.legs]
        if not ends or None in ends:
            return None
        return max(one for one in ends if one is not None) - self.taken

    def shrink(self) -> None:
        """Let go of what is large."""
        self.is_whole, self.size = False, 0
        self._webhook = replace(self._webhook, raw=b"", headers={})
        plans = tuple(plan._replace(message=_without_body(plan.message)) for plan in self.routed.plans)
        self.routed = Routed(plans, self.routed.matched, rejected=self.routed.rejected)


_WORST_FIRST: Final = ("dead", "evicted", "expired", "retrying", "pending", "duplicate", "delivered")


class Passages:
    """The newest passages. A `Witness` of the dispatcher; everything runs on the event loop's thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._number = 0
        self._all: deque[Passage] = deque()
        self._by_id: dict[str, Passage] = {}
        self._bytes = 0
        self._listeners: list[Listener] = []

    def __iter__(self) -> Iterator[Passage]:
        """Newest first."""
        return reversed(self._all)

    def find(self, number: int) -> Passage | None:
        """The passage of this number, while it is kept."""
        return next((one for one in self._all if one.number == number), None)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called with each new or changed passage: on the path, so it must be quick.

        Returns:
            What ends that.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # What the path tells

    def taken(self, webhook: Webhook, routed: Routed) -> None:
        """A webhook came, and this is what the routes make of it."""
        self._number += 1
        passage = Passage(self._number, webhook, routed, self._monotonic())
        self._all.append(passage)
        if len(self._all) > KEPT:
            self._drop(self._all.popleft())
        self._by_id[webhook.id] = passage
        self._bytes += passage.size
        if self._bytes > BYTES:
            self._shrink()
        if not routed.plans and log.isEnabledFor(logging.DEBUG):
            about = {"webhook": webhook.id, "bucket": webhook.bucket}
            log.debug("webhook %s of bucket %s: %s", webhook.id, webhook.bucket, passage.outcome, extra=about)
        self._tell(passage)

    def repeated(self, webhook: Webhook, plans: Sequence[Plan]) -> None:
        """These plans of a webhook are not carried out: that was done when it came before."""
        passage = self._by_id.get(webhook.id)
        if passage is None:
            return
        now = self._monotonic()
        for number, plan in enumerate(plans, 1):
            where = where_to(plan.message)
            # No delivery has a number below 1.
            passage.fates[-number] = Fate(plan.route, plan.target, where, "duplicate", 0, "", now)
        self._tell(passage)

    def settled(self, delivery: Delivery, outcome: str, reason: str = "") -> None:
        """A delivery came to its end."""
        self._note(delivery, outcome, reason, self._monotonic())

    def delayed(self, delivery: Delivery, failure: Failure) -> None:
        """A try failed and will be repeated."""
        self._note(delivery, "retrying", f"{failure.code}: {failure.reason}", None)

    def _note(self, delivery: Delivery, outcome: str, reason: str, finished: float | None) -> None:
        if log.isEnabledFor(logging.DEBUG):
            _log(delivery, outcome, reason)
        passage = self._by_id.get(delivery.webhook.id)
        if passage is None:
            return
        attempts = delivery.attempts + (outcome == "delivered")
        where = where_to(delivery.message)
        fate = Fate(delivery.route, delivery.target, where, outcome, attempts, reason, finished)
        passage.fates[delivery.seq] = fate
        self._tell(passage)

    def _tell(self, passage: Passage) -> None:
        for listener in self._listeners:
            listener(passage)

    # Limits

    def _shrink(self) -> None:
        for passage in self._all:
            if self._bytes <= BYTES:
                return
            self._bytes -= passage.size
            if passage.is_whole:
                passage.shrink()

    def _drop(self, passage: Passage) -> None:
        self._bytes -= passage.size
        if self._by_id.get(passage.id) is passage:
            del self._by_id[passage.id]


def where_to(message: Message | None) -> str:
    """A message's topic, or its method and URL; "" where it could not be rendered."""
    if message is None:
        return ""
    return message.topic if isinstance(message, MqttMessage) else f"{message.method} {message.url}"


def _log(delivery: Delivery, outcome: str, reason: str) -> None:
    webhook = delivery.webhook
    about = {"webhook": webhook.id, "bucket": webhook.bucket}
    about |= {"route": delivery.route, "target": delivery.target}
    where = where_to(delivery.message).partition("?")[0]
    said = f"{outcome} ({reason})" if reason else outcome
    log.debug("webhook %s by route %s to %s: %s", webhook.id, delivery.route, where, said, extra=about)


def _leg(plan: Plan, fates: list[Fate]) -> Leg:
    """The leg of a plan; its fate is taken off the list, as two plans may look the same."""
    where = where_to(plan.message)
    for fate in fates:
        if (fate.route, fate.target, fate.where) == (plan.route, plan.target, where):
            fates.remove(fate)
            return Leg(*fate)
    return Leg(plan.route, plan.target, where)


def _without_body(message: Message | None) -> Message | None:
    if isinstance(message, MqttMessage):
        return replace(message, payload=None)
    return None if message is None else replace(message, headers=(), body=None)
