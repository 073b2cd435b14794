"""The dispatcher: takes routed webhooks, drives the lanes, and settles every delivery exactly once.

A delivery goes to its lane at once. What has not been delivered `linger` seconds later is handed to
the journal. So a healthy target costs no write, and an unhealthy one loses nothing. Memory is bounded:
beyond a target's share, the tail of a lane lives in the journal only and is read back in order.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.counters import Counts
from bridge.delivery.lane import Lane
from bridge.delivery.linger import Linger
from bridge.delivery.outbox import Outbox
from bridge.delivery.refill import Refill
from bridge.delivery.retry import Again, Retry, decide
from bridge.journal.journal import Journal
from bridge.message import Delivered, Delivery, Failure, FailureKind, MqttMessage, Result
from bridge.routing.table import Plan
from bridge.targets.base import Target
from bridge.webhook import Webhook

log = logging.getLogger(__name__)

OVERHEAD = 1200
"""Bytes that a held delivery takes beside its bodies, measured on CPython 3.11."""
UNRENDERED = MqttMessage("")
"""What a dead letter holds whose message could not be rendered."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Memory and patience of the dispatcher. Bytes and seconds."""

    linger: float = 0.020
    held_bytes: int = 16 * 1024 * 1024
    """Memory for deliveries that wait; shared evenly by the targets, the rest waits in the journal."""
    uncommitted_bytes: int = 16 * 1024 * 1024
    """Handed to the journal and not yet durable; beyond it the intake is held."""


class Dispatcher:
    """Owns the outboxes. Everything runs on the event loop's thread."""

    def __init__(
        self,
        journal: Journal,
        counts: Counts,
        *,
        limits: Limits | None = None,
        congested: Callable[[bool], None] = lambda _: None,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._journal = journal
        self._counts = counts
        self._limits = limits or Limits()
        self._congested = congested
        self._random = rand
        self._loop = asyncio.get_running_loop()
        self._linger = Linger(self._limits.linger, self._store)
        self._refill = Refill(journal, loaded=self._loaded)
        self._outboxes: dict[str, Outbox] = {}
        self._wakes: dict[str, asyncio.TimerHandle] = {}
        self._seq = 0
        self._webhook_seq = 0
        self._uncommitted = 0
        self._uncommitted_bytes = 0
        self._holding = False
        self._stopping = False

    # Start, reload and stop

    async def recover(self) -> int:
        """Take up what an earlier process still owed; the number of deliveries."""
        self._seq = self._webhook_seq = await self._journal.next_seq()
        total = 0
        for summary in await self._journal.lanes():
            outbox = self._outbox(summary.target)
            lane = outbox.lane(summary.order_key)
            lane.stored = summary.count
            self._counts.target(summary.target).accepted += summary.count
            total += summary.count
            self._refill.want(outbox, lane)
        return total

    def use(self, targets: Mapping[str, tuple[Target, Retry]]) -> None:
        """Send to these targets from now on; the ones no longer named finish what they are owed."""
        for outbox in self._outboxes.values():
            outbox.retired = outbox.name not in targets
        for name, (target, retry) in targets.items():
            outbox = self._outbox(name)
            outbox.target, outbox.retry = target, retry
            self._pump(outbox)

    def idle_targets(self) -> list[Target]:
        """Targets that no route names and nothing is owed to; they are forgotten, the caller closes them."""
        idle = [o for o in self._outboxes.values() if o.retired and len(o) == 0]
        for outbox in idle:
            del self._outboxes[outbox.name]
        return [o.target for o in idle if o.target is not None]

    async def stop(self) -> None:
        """Nothing is sent any more; what is still owed is durable when this returns.

        The caller closes the targets first, so that what was in flight has its result.
        """
        self._stopping = True
        for handle in self._wakes.values():
            handle.cancel()
        await self._refill.close()
        self._linger.flush()
        await self._journal.flush()

    def quiesce(self) -> None:
        """Send nothing new; results are still taken."""
        self._stopping = True

    # The path

    def accept(self, webhook: Webhook, plans: Sequence[Plan], generation: int) -> None:
        """Take responsibility for a routed webhook: each plan becomes a delivery."""
        self._webhook_seq += 1
        touched = []
        for plan in plans:
            delivery = self._deliver(webhook, plan, generation)
            if delivery is None:
                continue
            outbox = self._outbox(plan.target)
            if self._admit(outbox, delivery):
                touched.append(outbox)
        for outbox in touched:
            self._pump(outbox)

    def _deliver(self, webhook: Webhook, plan: Plan, generation: int) -> Delivery | None:
        self._seq += 1
        self._counts.target(plan.target).accepted += 1
        expire_after = plan.expire_after
        delivery = Delivery(
            seq=self._seq,
            webhook_seq=self._webhook_seq,
            webhook=webhook,
            message=plan.message or UNRENDERED,
            target=plan.target,
            order_key=plan.order_key,
            route=plan.route,
            generation=generation,
            deadline=None if expire_after is None else self._loop.time() + expire_after,
        )
        if plan.error is None:
            return delivery
        self._bury(delivery, "render", str(plan.error))
        return None

    def _admit(self, outbox: Outbox, delivery: Delivery) -> bool:
        """Hold a delivery in memory, or in the journal only; whether it is held."""
        delivery.size = _size(delivery)
        lane = outbox.lane(delivery.order_key)
        if lane.stored or not outbox.has_room(lane, delivery.size, self._share()):
            lane.stored += 1
            self._refill.want(outbox, lane)
            self._store([delivery])
            return False
        outbox.push(lane, delivery)
        self._linger.watch(delivery)
        return True

    def _share(self) -> int:
        """Memory for one target's deliveries: a dead target must not take what a healthy one needs."""
        return self._limits.held_bytes // max(1, len(self._outboxes))

    def _pump(self, outbox: Outbox) -> None:
        if self._stopping:
            return
        wakes = outbox.send(self._loop.time())
        if outbox.starving:
            self._refill.feed(outbox, self._share())
        handle = self._wakes.get(outbox.name)
        if handle is not None and (wakes is None or handle.when() != wakes):
            handle.cancel()
            del self._wakes[outbox.name]
        if wakes is not None and outbox.name not in self._wakes:
            self._wakes[outbox.name] = self._loop.call_at(wakes, self._wake, outbox)

    def _wake(self, outbox: Outbox) -> None:
        self._wakes.pop(outbox.name, None)
        self._pump(outbox)

    # What the targets say

    def available(self, target: str) -> None:
        """A target takes deliveries again."""
        outbox = self._outboxes.get(target)
        if outbox is not None:
            self._pump(outbox)

    def finished(self, delivery: Delivery, result: Result) -> None:
        """A delivery that was sent has its result."""
        outbox = self._outboxes[delivery.target]
        lane = outbox.lane(delivery.order_key)
        if isinstance(result, Delivered):
            self._counts.target(delivery.target).delivered += 1
            self._counts.route(delivery.route).delivered += 1
            self._settle(outbox, lane, delivery)
        else:
            self._failed(outbox, lane, delivery, result)
        self._refill.want(outbox, lane)
        if lane.held:
            outbox.enlist(lane)
        self._pump(outbox)

    def _failed(self, outbox: Outbox, lane: Lane, delivery: Delivery, failure: Failure) -> None:
        verdict = decide(failure, delivery.attempts, outbox.retry, self._random)
        if not isinstance(verdict, Again):
            self._bury(delivery, verdict.code, verdict.reason)
            self._release(outbox, lane, delivery)
            return
        delivery.trouble = failure
        delivery.not_before = self._loop.time() + verdict.delay
        if delivery.deadline is not None:
            delivery.not_before = min(delivery.not_before, delivery.deadline)
        if verdict.spends:
            delivery.attempts += 1
            self._counts.target(delivery.target).retries += 1
            if delivery.journaled:
                self._journal.update(delivery)
        lane.again(delivery)

    def _expired(self, delivery: Delivery, lane: Lane) -> None:
        outbox = self._outboxes[delivery.target]
        trouble = delivery.trouble
        if trouble is not None and trouble.kind is FailureKind.REFUSED:
            # Somebody should have changed something at the target: that belongs before people's eyes.
            self._bury(delivery, trouble.code, f"expired while refused: {trouble.reason}")
            self._release(outbox, lane, delivery)
        else:
            self._counts.target(delivery.target).expired += 1
            self._settle(outbox, lane, delivery)

    def _settle(self, outbox: Outbox, lane: Lane, delivery: Delivery) -> None:
        delivery.done = True
        if delivery.journaled:
            self._journal.remove(delivery)
        self._release(outbox, lane, delivery)

    def _bury(self, delivery: Delivery, code: str, reason: str) -> None:
        delivery.done = True
        self._counts.target(delivery.target).dead += 1
        self._counts.route(delivery.route).dead += 1
        self._journal.bury(delivery, code, reason)

    @staticmethod
    def _release(outbox: Outbox, lane: Lane, delivery: Delivery) -> None:
        lane.settle()
        outbox.release(delivery, lane)

    # The journal's side

    def _store(self, deliveries: Sequence[Delivery]) -> None:
        self._uncommitted += len(deliveries)
        self._uncommitted_bytes += sum(d.size for d in deliveries)
        self._journal.add(deliveries, self._committed)
        self.check_room()

    def _committed(self, deliveries: Sequence[Delivery]) -> None:
        self._uncommitted -= len(deliveries)
        self._uncommitted_bytes -= sum(d.size for d in deliveries)
        self.check_room()

    def check_room(self) -> None:
        """Hold the intake while the journal can't follow; release it when half of that is durable."""
        limit = self._limits.uncommitted_bytes // 2 if self._holding else self._limits.uncommitted_bytes
        holding = bool(self._journal.full) or self._uncommitted_bytes > limit
        if holding != self._holding:
            self._holding = holding
            self._congested(holding)

    def _loaded(self, outbox: Outbox, lane: Lane, rows: Sequence[Delivery], missing: int) -> None:
        """Deliveries came back from the journal; `missing` ones did not, since they were damaged."""
        for delivery in rows:
            delivery.size = _size(delivery)
            outbox.push(lane, delivery)
        lane.stored -= len(rows) + missing
        self._counts.target(outbox.name).dead += missing
        self._refill.want(outbox, lane)
        outbox.forget_if_empty(lane)
        self._pump(outbox)

    # For people

    def owed(self) -> dict[str, int]:
        """Deliveries that are pending, by target."""
        return {name: len(outbox) for name, outbox in self._outboxes.items()}

    @property
    def unsaved(self) -> int:
        """Deliveries that a power cut would take now: neither delivered nor durable."""
        return len(self._linger) + self._uncommitted

    def outboxes(self) -> Iterable[Outbox]:
        """Every outbox, for status."""
        return self._outboxes.values()

    def _outbox(self, name: str) -> Outbox:
        outbox = self._outboxes.get(name)
        if outbox is None:
            outbox = self._outboxes[name] = Outbox(name, self._expired)
        return outbox


def _size(delivery: Delivery) -> int:
    message = delivery.message
    own = message.payload if isinstance(message, MqttMessage) else message.body
    return OVERHEAD + len(delivery.webhook.raw) + len(own or b"")
