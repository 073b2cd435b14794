"""Webhooks of a relay's log for an operator: some by their IDs, or all of a span of time."""

import time
from collections.abc import Sequence
from typing import Final

from bridge.config.model import MIB, RelaySettings
from bridge.errors import FrameError, RelayError
from bridge.relay.entries import Directory, webhook_of
from bridge.relay.logreader import LogReader
from bridge.relay.rest import LogUnavailable, RelayRest
from bridge.webhook import Webhook

MOST: Final = 200
"""Webhooks that are held at once."""


class NotInLog(RelayError):
    """The relay's log has it not, or too much."""

    retry = False


async def by_ids(relay: RelaySettings, ids: Sequence[str]) -> list[Webhook]:
    """The webhooks with these IDs.

    Raises:
        RelayError: the log can't be read; `NotInLog` where one of them is not in it.
    """
    async with rest_of(relay) as rest:
        directory = await rest.directory()
        return [await _one(rest, directory, one) for one in ids]


async def between(relay: RelaySettings, seconds: float) -> list[Webhook]:
    """What came within the last seconds, oldest first, of the buckets that are subscribed to.

    Raises:
        RelayError: the log can't be read; `NotInLog` where it holds too many.
    """
    found: dict[object, Webhook] = {}

    async def take(webhooks: Sequence[Webhook]) -> None:
        # The parts that a log is read in may overlap.
        found.update({one.identity or one: one for one in webhooks if one.received_at >= start})
        if len(found) > MOST:
            raise NotInLog(f"these are more than {MOST} webhooks: say a shorter time")

    async with rest_of(relay) as rest:
        directory = await rest.directory()
        # The span is of the relay's time: a clock of this machine that is wrong must not move it.
        now = rest.clock.now(time.monotonic()) if rest.clock else time.time()
        start = now - seconds
        reader = LogReader(rest, directory)
        for bucket_id in directory.ids(relay.buckets):
            await reader.read(bucket_id, start, now, take)
    return sorted(found.values(), key=lambda one: one.received_at)


async def _one(rest: RelayRest, directory: Directory, log_id: str) -> Webhook:
    try:
        webhook = webhook_of(await rest.entry(log_id), directory, time.time())
    except LogUnavailable:
        raise NotInLog(f"{log_id} is not in the relay's log") from None
    except FrameError as error:
        raise NotInLog(f"{log_id} can't be taken from the relay's log: {error}") from None
    if webhook is None:
        raise NotInLog(f"{log_id} went to another output, or the relay rejected it")
    return webhook


def rest_of(relay: RelaySettings) -> RelayRest:
    """The relay's REST interface."""
    return RelayRest(relay.url, relay.key, relay.secret, max_answer=relay.max_frame + MIB)
