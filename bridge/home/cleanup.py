"""Has the broker forget all that a bridge had it retain: the bridge is to go, or has another name now."""

from typing import NamedTuple

from bridge.errors import BridgeError, Fault
from bridge.home.place import Place
from bridge.home.presence import FORGET, ONLINE
from bridge.home.publisher import Publisher


class BrokerUnavailable(BridgeError):
    """The broker can't be reached, or does not take what it is sent."""

    fault = Fault.TARGET
    retry = True


class CleanedUp(NamedTuple):
    """What was there."""

    topics: list[str]
    """That were retained."""
    runs: bool
    """Whether the bridge said `online` there: it will say all of it again."""


async def clean_up(place: Place, timeout: float) -> CleanedUp:
    """Clear every retained topic of a bridge, which need not run.

    Raises:
        BrokerUnavailable: that was not confirmed within `timeout` seconds.
    """
    found: dict[str, bytes] = {}

    def take(topic: str, payload: bytes, retained: bool) -> None:
        if retained and payload:
            found[topic] = payload

    # What is retained comes before the confirmation of what is published after subscribing.
    publisher = Publisher(
        place.broker, f"{place.client_id}-cleanup", take, filters=dict.fromkeys(place.ever_retained, True)
    )
    for topic in place.ever_retained:
        publisher.retain(topic, FORGET)
    publisher.start()
    try:
        if not await publisher.settled(timeout):
            state = publisher.state
            raise BrokerUnavailable(f"{place.broker.target} at {place.address}: {state.reason or state.name}")
    finally:
        await publisher.close()
    return CleanedUp(sorted(found), found.get(place.topics.status) == ONLINE)
