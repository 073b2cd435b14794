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
from bridge.delivery.acceptance import Acceptance
from bridge.delivery.commits import Commits
from bridge.delivery.eviction import Eviction
from bridge.delivery.lane import Lane
from bridge.delivery.linger import Linger
from bridge.delivery.outbox import Outbox, memory_of
from bridge.delivery.pump import Pump
from bridge.delivery.rates import Rates
from bridge.delivery.receipts import Receipts
from bridge.delivery.refill import Refill
from bridge.delivery.repeats import Repeats
from bridge.delivery.retry import Again, Retry, decide
from bridge.delivery.settlement import Settlement
from bridge.delivery.suspects import Suspects
from bridge.delivery.witness import NOBODY, Witness
from bridge.errors import JournalFull
from bridge.journal.flights import Flights
from bridge.journal.journal import Journal
from bridge.message import Answered, Delivered, Delivery, Failure, FailureKind, Result
from bridge.routing.rate import Rate
from bridge.routing.table import Plan
from bridge.targets.base import Target
from bridge.webhook import Webhook

log = logging.getLogger(__name__)


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
        accepted: Callable[[str], None] = lambda _: None,
        witness: Witness = NOBODY,
        flights: Flights | None = None,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._journal = journal
        self._counts = counts
        self._limits = limits or Limits()
        self._witness = witness
        self._random = rand
        self._loop = asyncio.get_running_loop()
        self._outboxes: dict[str, Outbox] = {}
        self._suspects = Suspects(flights or Flights(None))
        self._refill = Refill(journal, loaded=self._loaded)
        self._repeats = Repeats(journal)
        self.receipts = Receipts(accepted)
        self._settlement = Settlement(journal, counts, self._repeats, self.receipts, witness)
        self._rates = Rates(counts)
        self._acceptance = Acceptance(
            counts, self._repeats, self._rates, self.receipts, self._settlement, witness
        )
        self._eviction = Eviction(journal, self._outboxes, self._settlement, self._refill, self._resume)
        self._commits = Commits(
            journal, self.receipts, self._eviction, self._limits.uncommitted_bytes, congested
        )
        self._linger = Linger(self._limits.linger, self._commits.store, self._served)
        self._pump = Pump(self._feed)

    # Start, reload and stop

    async def recover(self) -> int:
        """Take up what an earlier process still owed; the number of deliveries."""
        self._acceptance.begin_at(await self._journal.next_seq())
        total = 0
        for summary in await self._journal.lanes():
            outbox = self._outbox(summary.target)
            lane = outbox.lane(summary.order_key)
            lane.stored = summary.count
            self._counts.target(summary.target).accepted += summary.count
            total += summary.count
            self._refill.want(outbox, lane)
        return total

    def suspect(self, seqs: Iterable[int]) -> None:
        """The last process died while it sent; these deliveries were in flight, and are still owed."""
        self._suspects.accuse(seqs)

    def use(self, targets: Mapping[str, tuple[Target, Retry]]) -> None:
        """Send to these targets from now on; the ones no longer named finish what they are owed."""
        for outbox in self._outboxes.values():
            outbox.retired = outbox.name not in targets
        for name, (target, retry) in targets.items():
            outbox = self._outbox(name)
            outbox.target, outbox.retry = target, retry
            self._pump.now(outbox)

    def pace(self, rates: Mapping[str, Rate]) -> None:
        """Send for these routes no faster than so from now on."""
        self._rates.use(rates)
        now = self._loop.time()
        for outbox in self._outboxes.values():
            outbox.hurry(now)
            self._pump.now(outbox)

    def hold(self, target: str, *, paused: bool) -> bool:
        """Send a target nothing more, or go on; False where there is no such target."""
        outbox = self._outboxes.get(target)
        if outbox is None:
            return False
        outbox.paused = paused
        self._pump.now(outbox)
        return True

    @property
    def paused(self) -> frozenset[str]:
        """Targets that an operator holds."""
        return frozenset(name for name, outbox in self._outboxes.items() if outbox.paused)

    def when_full(self, policy: str) -> None:
        """What gives way at the journal's limit from now on: disconnect, drop_oldest or drop_newest."""
        self._eviction.policy = policy
        self._commits.check_room()

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
        self._pump.stop()
        await self._eviction.close()
        await self._refill.close()
        try:
            await self.save()
        except JournalFull as error:
            log.error("%d deliveries could not be stored: %s", self.unsaved, error)  # noqa: TRY400  # known

    async def save(self) -> None:
        """Everything that is owed is durable when this returns.

        Raises:
            JournalFull: some of it is not.
            JournalError: the journal failed.
        """
        self._linger.flush()
        await self._journal.flush()

    def quiesce(self) -> None:
        """Send nothing new; results are still taken."""
        self._pump.stop()

    # The path

    def accept(
        self, webhook: Webhook, plans: Sequence[Plan], generation: int, answered: Answered | None = None
    ) -> bool:
        """Take responsibility for a routed webhook: each plan that is not a repeat becomes a delivery.

        Returns:
            Whether `answered` will hear of the target's answer to the plan that is `asked`: not where
            that is a repeat, or waits in the journal.
        """
        return self._take(self._acceptance.deliveries(webhook, plans, generation, answered))

    def accept_missed(self, webhook: Webhook, plans: Sequence[Plan], generation: int) -> int:
        """As `accept`, of these plans those that this webhook was never accepted for; how many."""
        missed = self._acceptance.missed(webhook, plans, generation, again=False)
        self._take(missed)
        return len(missed)

    def accept_again(self, webhook: Webhook, plans: Sequence[Plan], generation: int) -> int:
        """As `accept_missed`, for what came to nothing: a dead letter is no repeat."""
        again = self._acceptance.missed(webhook, plans, generation, again=True)
        self._take(again)
        return len(again)

    def _take(self, deliveries: Sequence[Delivery]) -> bool:
        """Whether one is held in memory whose answer is waited for."""
        asked = False
        outboxes = {}
        for delivery in deliveries:
            outboxes[delivery.target] = outbox = self._outbox(delivery.target)
            if self._admit(outbox, delivery) and delivery.answered is not None:
                asked = True
        for outbox in outboxes.values():
            self._pump.soon(outbox)
        return asked

    def _admit(self, outbox: Outbox, delivery: Delivery) -> bool:
        """Hold a delivery in memory, or in the journal only; whether it is held."""
        delivery.size = memory_of(delivery)
        lane = outbox.lane(delivery.order_key)
        stores_first = lane.stored or self._suspects.alarmed
        if stores_first or not outbox.has_room(lane, delivery.size, self._share()):
            lane.stored += 1
            self._refill.want(outbox, lane)
            self._commits.store([delivery])
            return False
        outbox.push(lane, delivery)
        self._linger.watch(delivery)
        return True

    def _share(self) -> int:
        """Memory for one target's deliveries: a dead target must not take what a healthy one needs."""
        return self._limits.held_bytes // max(1, len(self._outboxes))

    def _feed(self, outbox: Outbox) -> None:
        if outbox.starving and not self._eviction.reads:
            self._refill.feed(outbox, self._share())

    def _resume(self) -> None:
        for outbox in self._outboxes.values():
            self._pump.now(outbox)

    # What the targets say

    def available(self, target: str) -> None:
        """A target takes deliveries again."""
        outbox = self._outboxes.get(target)
        if outbox is not None:
            self._pump.soon(outbox)

    def finished(self, delivery: Delivery, result: Result) -> None:
        """A delivery that was sent has its result."""
        self._suspects.landed(delivery.seq)
        outbox = self._outboxes[delivery.target]
        lane = outbox.lane(delivery.order_key)
        if isinstance(result, Delivered):
            outbox.served = self._loop.time()
            self._settlement.delivered(delivery)
            self._release(outbox, lane, delivery)
        else:
            self._failed(outbox, lane, delivery, result)
        self._refill.want(outbox, lane)
        if lane.held:
            outbox.enlist(lane)
        if not outbox.at_rest:
            self._pump.soon(outbox)

    def _failed(self, outbox: Outbox, lane: Lane, delivery: Delivery, failure: Failure) -> None:
        verdict = decide(failure, delivery.attempts, outbox.retry, self._random)
        if not isinstance(verdict, Again):
            self._settlement.dead(delivery, verdict.code, verdict.reason)
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
        if not delivery.journaled:
            self._linger.watch(delivery)
        lane.again(delivery)
        self._witness.delayed(delivery, failure)

    def _expired(self, delivery: Delivery, lane: Lane) -> None:
        outbox = self._outboxes[delivery.target]
        trouble = delivery.trouble
        if trouble is not None and trouble.kind is FailureKind.REFUSED:
            # Somebody should have changed something at the target: that belongs before people's eyes.
            self._settlement.dead(delivery, trouble.code, f"expired while refused: {trouble.reason}")
        else:
            self._settlement.expired(delivery)
        self._release(outbox, lane, delivery)

    @staticmethod
    def _release(outbox: Outbox, lane: Lane, delivery: Delivery) -> None:
        lane.settle()
        outbox.release(delivery, lane)

    def _loaded(self, outbox: Outbox, lane: Lane, rows: Sequence[Delivery], missing: int) -> None:
        """Deliveries came back from the journal; `missing` ones did not, since they were damaged."""
        for delivery in rows:
            delivery.size = memory_of(delivery)
            outbox.push(lane, delivery)
        lane.stored -= len(rows) + missing
        self._counts.target(outbox.name).dead += missing
        self._refill.want(outbox, lane)
        outbox.forget_if_empty(lane)
        self._pump.now(outbox)

    def check_room(self) -> None:
        """Hold the intake while the journal can't follow; release it when half of that is durable."""
        self._commits.check_room()

    # For people

    def owed(self) -> dict[str, int]:
        """Deliveries that are pending, by target."""
        return {name: len(outbox) for name, outbox in self._outboxes.items()}

    @property
    def unsaved(self) -> int:
        """Deliveries that a power cut would take now: neither delivered nor durable."""
        return len(self._linger) + len(self._commits) + self._journal.unburied

    def outboxes(self) -> Iterable[Outbox]:
        """Every outbox, for status."""
        return self._outboxes.values()

    def _served(self, target: str) -> float:
        return self._outbox(target).served

    def _outbox(self, name: str) -> Outbox:
        outbox = self._outboxes.get(name)
        if outbox is None:
            outbox = self._outboxes[name] = Outbox(name, self._expired, self._suspects, self._rates)
        return outbox
