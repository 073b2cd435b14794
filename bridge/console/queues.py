"""How long the oldest delivery of each target waits."""

import time
from collections.abc import Iterator

from bridge.console.watched import Watched

WAITING = ("pending", "retrying")


def oldest(daemon: Watched) -> dict[str, float]:
    """Seconds since the arrival of the oldest webhook that is owed, by target; none where nothing is.

    What was sent and has no answer yet is known while it is among the last webhooks; what is in the journal
    only is younger than what is held.
    """
    arrived: dict[str, float] = {}
    for target, received_at in (*_held(daemon), *_shown(daemon)):
        arrived[target] = min(received_at, arrived.get(target, received_at))
    now = time.time()
    return {target: max(0.0, now - received_at) for target, received_at in arrived.items()}


def _held(daemon: Watched) -> Iterator[tuple[str, float]]:
    for outbox in daemon.dispatcher.outboxes():
        for lane in outbox:
            if waiting := lane.waiting():
                yield outbox.name, waiting[0].webhook.received_at


def _shown(daemon: Watched) -> Iterator[tuple[str, float]]:
    for passage in daemon.passages:
        for leg in passage.legs:
            if leg.outcome in WAITING:
                yield leg.target, passage.facts["received_at"]
