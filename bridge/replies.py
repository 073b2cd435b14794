"""Replies: answers the senders of webhooks, at once or with what a target says in time.

One answer a webhook. It goes beside the path: a delivery neither waits for it nor fails with it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bridge.config.model import RelaySettings
from bridge.errors import RenderError
from bridge.message import Answer
from bridge.relay.responder import Complaints, Outgoing, ReplyCounts, Responder
from bridge.routing.reply import Replying
from bridge.webhook import Webhook

BUDGET: Final = 10.0
"""Seconds for which the relay lets a sender wait."""
MARGIN: Final = 0.5
"""Seconds of the budget that are kept for the way to the relay."""
MOST_WAITING: Final = 256
"""Senders for whose answers targets are waited for."""
MOST_KNOWN: Final = 1000
"""Webhooks that are known when the relay sends them again."""
CLOSE_SECONDS: Final = 1.0


class Waiting:
    """A sender whose answer a target is asked for."""

    def __init__(self, settle: Callable[[Answer | None], None], timer: asyncio.TimerHandle) -> None:
        self._settle: Callable[[Answer | None], None] | None = settle
        self._timer = timer

    def take(self, answer: Answer | None) -> None:
        """What the target answered, None where it can't be passed on; the first word counts."""
        settle, self._settle = self._settle, None
        if settle is not None:
            self._timer.cancel()
            settle(answer)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who is answered, and until when."""

    log_id: str
    bucket_id: str
    deadline: float


class Replies:
    """Answers senders through the relay that is current.

    Args:
        wall: Unix time in seconds, by which the time since a webhook came is measured.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.counts = ReplyCounts()
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._complaints = Complaints()
        self._relay: RelaySettings | None = None
        self._responder: Responder | None = None
        self._closing: dict[asyncio.Task[None], Responder] = {}
        self._waiting: dict[str, Waiting] = {}
        self._known: OrderedDict[str, None] = OrderedDict()

    def use(self, relay: RelaySettings) -> None:
        """Send to this relay from now on."""
        if relay == self._relay:
            return
        if self._responder is not None:
            task = asyncio.create_task(self._responder.close(BUDGET), name="close replies")
            self._closing[task] = self._responder
            task.add_done_callback(self._closing.pop)
        self._relay, self._responder = relay, Responder(relay, self.counts, self._complaints)

    def answer(self, webhook: Webhook, reply: Replying) -> Waiting | None:
        """Answer a webhook's sender; what is returned takes the target's answer where one is waited for."""
        if webhook.id in self._known:  # the relay sent it again: it has its answer, or will have it
            return None
        self._remember(webhook.id)
        # No clock counts from the moment of the frame on but the wall's, which may be set meanwhile.
        age = min(max(0.0, self._wall() - webhook.received_at), BUDGET)
        sender = _Sender(webhook.id, webhook.bucket_id, self._loop.time() + BUDGET - age)
        if reply.timeout is None:
            self._give(sender, reply.answer)
            return None
        return self._wait(sender, reply, min(reply.timeout, BUDGET - MARGIN - age))

    def _remember(self, webhook_id: str) -> None:
        self._known[webhook_id] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def _wait(self, sender: _Sender, reply: Replying, seconds: float) -> Waiting | None:
        if len(self._waiting) >= MOST_WAITING:
            self._settle(sender, reply, None)
            return None
        timer = self._loop.call_later(seconds, self._give_up, sender.log_id)
        waiting = self._waiting[sender.log_id] = Waiting(partial(self._settle, sender, reply), timer)
        return waiting

    def _give_up(self, log_id: str) -> None:
        """No target will answer in time, where one was waited for."""
        waiting = self._waiting.get(log_id)
        if waiting is not None:
            waiting.take(None)

    def _settle(self, sender: _Sender, reply: Replying, answer: Answer | None) -> None:
        self._waiting.pop(sender.log_id, None)
        self.counts.fallbacks += answer is None
        self._give(sender, reply.answer if answer is None else answer)

    def _give(self, sender: _Sender, answer: Answer | RenderError) -> None:
        if isinstance(answer, RenderError):
            self.counts.failed += 1
            self._complaints.note(str(answer))
        elif self._responder is not None:
            self._responder.send(Outgoing(sender.log_id, sender.bucket_id, answer, sender.deadline))

    async def close(self) -> None:
        """Give those that wait the route's own answer, and send what can be sent soon."""
        for log_id in list(self._waiting):
            self._give_up(log_id)
        responders = [*self._closing.values(), *([self._responder] if self._responder else [])]
        await asyncio.gather(*(responder.close(CLOSE_SECONDS) for responder in responders))
        if self._closing:
            await asyncio.wait(self._closing)
