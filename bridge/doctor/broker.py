"""Checks of MQTT brokers. What they publish is withdrawn before any subscriber gets it."""

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from bridge.config.model import BrokerSettings, Config
from bridge.doctor.finding import Check, Finding, Scribe
from bridge.doctor.mosquitto import Lines, is_persistent, settings_of
from bridge.doctor.mqtt_probe import Probe, ProbeFailed
from bridge.doctor.topics import mqtt_items, topics
from bridge.targets.mqtt_publication import Limits
from bridge.web.hosts import is_loopback

LARGEST_MESSAGE: Final = 1_000_000
"""Bytes that every broker should take."""
A_VISIT: Final = 10
"""Topics that are probed on one connection, few enough for any broker."""
MOST_TOPICS: Final = 50
"""That are probed at one broker."""
ACL_SECONDS: Final = 20.0
NOT_AUTHORIZED: Final = 0x87


async def check_broker(
    config: Config, settings: BrokerSettings, status: Mapping[str, Any] | None
) -> list[Finding]:
    """All of it. `status` is the running daemon's; None where none is known to run."""
    write = Scribe(f"{settings.target} at {settings.host}:{settings.port}")
    here = is_loopback(settings.host)
    own = await asyncio.to_thread(settings_of, settings.port) if here else None
    found = [*await _visit(config, settings, own, write), _persistence(own, write)]
    return [*found, _subscribers(settings, status, write)]


async def _visit(config: Config, settings: BrokerSettings, own: Lines | None, write: Scribe) -> list[Finding]:
    """Connect, look at what the broker says of itself, and ask what may be published."""
    try:
        async with Probe(settings, config.node) as probe:
            limits = _limits(config, settings, probe.limits, write)
            withholds = own is not None or await _withholds(probe, config.node)
    except ProbeFailed as error:
        return _not_let_in(error, write)
    acl = write.skipped(Check.BROKER_ACL, "a probe might reach subscribers of this broker, so none is sent")
    if settings.protocol != "5":
        acl = write.skipped(Check.BROKER_ACL, "MQTT 3.1.1 does not tell")
    elif withholds:
        acl = await _acl(config, settings, write)
    return [write.good(Check.BROKER_REACHED), write.good(Check.BROKER_CREDENTIALS), limits, acl]


def _not_let_in(error: ProbeFailed, write: Scribe) -> list[Finding]:
    rest = [write.skipped(one, "not connected") for one in (Check.BROKER_LIMITS, Check.BROKER_ACL)]
    if error.refused:
        return [write.good(Check.BROKER_REACHED), write.bad(Check.BROKER_CREDENTIALS, str(error)), *rest]
    unknown = write.skipped(Check.BROKER_CREDENTIALS, "not connected")
    return [write.bad(Check.BROKER_REACHED, str(error)), unknown, *rest]


def _limits(config: Config, settings: BrokerSettings, limits: Limits, write: Scribe) -> Finding:
    items = mqtt_items(config, settings.target)
    lacks = []
    if limits.maximum_packet < LARGEST_MESSAGE:
        lacks.append(f"it takes messages of {limits.maximum_packet} bytes at most")
    if limits.maximum_qos < max((item.qos for item in items), default=0):
        lacks.append(f"it takes QoS {limits.maximum_qos} at most")
    if not limits.retain and any(item.retain for item in items):
        lacks.append("it retains nothing")
    return write.bad(Check.BROKER_LIMITS, ", ".join(lacks)) if lacks else write.good(Check.BROKER_LIMITS)


async def _withholds(probe: Probe, node: str) -> bool:
    """Whether the broker hands a message at QoS 2 on only when it is released, shown on a topic of ours."""
    topic = f"relay-bridge/{node}/reply/doctor-{secrets.token_hex(8)}"
    probe.subscribe(topic)
    with suppress(ProbeFailed):
        if (
            await probe.publish(topic, b"withheld", 2) < 0x80
            and await probe.publish(topic, b"sent", 1) < 0x80
        ):
            await probe.wait(lambda: b"sent" in probe.heard, 2.0)
    return probe.heard == [b"sent"]


async def _acl(config: Config, settings: BrokerSettings, write: Scribe) -> Finding:
    wanted = topics(config, settings.target)
    if not wanted:
        return write.skipped(Check.BROKER_ACL, "no topic is known before a webhook comes")
    try:
        async with asyncio.timeout(ACL_SECONDS):
            denied = await _denied(wanted[:MOST_TOPICS], settings, config.node)
    except (TimeoutError, ProbeFailed) as error:
        return write.skipped(Check.BROKER_ACL, str(error) or f"not answered within {ACL_SECONDS:g} s")
    if denied:
        return write.bad(Check.BROKER_ACL, f"publishing is denied on {', '.join(denied)}")
    return write.good(Check.BROKER_ACL, f"{min(len(wanted), MOST_TOPICS)} of {len(wanted)} topics probed")


async def _denied(wanted: list[str], settings: BrokerSettings, node: str) -> list[str]:
    """The topics that may not be published on. Mosquitto 2.0 also ends the connection over each."""
    denied: list[str] = []
    left = deque(wanted)
    while left:
        async with Probe(settings, node) as probe:
            # What is not released counts towards the broker's Receive Maximum for the whole visit.
            for _ in range(min(A_VISIT, probe.limits.receive_maximum, len(left))):
                topic = left.popleft()
                if await probe.publish(topic, b"", 2) == NOT_AUTHORIZED:
                    denied.append(topic)
                    break
    return denied


def _persistence(own: Lines | None, write: Scribe) -> Finding:
    if own is None:
        return write.skipped(Check.BROKER_PERSISTENCE, "this broker's settings can't be seen from here")
    if is_persistent(own):
        return write.good(Check.BROKER_PERSISTENCE)
    return write.bad(Check.BROKER_PERSISTENCE, "a restart of Mosquitto loses sessions and retained messages")


def _subscribers(settings: BrokerSettings, status: Mapping[str, Any] | None, write: Scribe) -> Finding:
    check = Check.BROKER_SUBSCRIBERS
    if status is None:
        return write.skipped(check, "no daemon is known to run here")
    counts = status["targets"].get(settings.target, {})
    published, unheard = counts.get("delivered", 0), counts.get("unheard", 0)
    if not published or settings.protocol != "5":
        return write.skipped(
            check, "nothing was published yet" if not published else "MQTT 3.1.1 does not tell"
        )
    if unheard:
        return write.bad(check, f"{unheard} of {published} messages since the start reached nobody")
    return write.good(check, f"{published} messages since the start")
