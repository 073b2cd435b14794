"""Topics that a routing file publishes on, as far as they are known without a webhook. No I/O."""

import re
from collections.abc import Iterator
from typing import Final

from bridge.config.model import Config
from bridge.home.place import place_of
from bridge.routing.items import MqttItem
from bridge.targets.mqtt_publication import topic_problem

STAND_IN: Final = "relay-bridge-doctor"
_EXPRESSION: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def mqtt_items(config: Config, target: str) -> list[MqttItem]:
    """What routes send to one broker."""
    unmatched = config.table.unmatched if isinstance(config.table.unmatched, tuple) else ()
    items = [item for route in config.table.routes if route.enabled for item in route.items]
    return [item for item in (*items, *unmatched) if isinstance(item, MqttItem) and item.target == target]


def topics(config: Config, target: str) -> list[str]:
    """Each topic once, with a stand-in for each `{{ … }}`."""
    return [topic for topic in dict.fromkeys(_all(config, target)) if topic_problem(topic) is None]


def _all(config: Config, target: str) -> Iterator[str]:
    for item in mqtt_items(config, target):
        source = item.topic.source
        if not item.topic.secret and "{%" not in source:
            yield source if item.topic.constant else _EXPRESSION.sub(STAND_IN, source)
    place = place_of(config)
    if place is not None and place.broker.target == target:
        yield from place.retained
