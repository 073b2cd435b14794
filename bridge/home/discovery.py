"""What Home Assistant is told, so that the bridge appears there by itself. Pure.

One message describes the device and all of its entities ("device discovery", since Home Assistant 2024.11):
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bridge.home.digest import PLAIN
from bridge.home.topics import Topics
from bridge.version import __version__

Component = dict[str, Any]

OTHER: Final = "other"
"""Stands for every event type that was not declared: Home Assistant drops those."""
MOST_TYPES: Final = 32
"""Of one route."""

DECLARABLE: Final = re.compile(r"[A-Za-z0-9_.:/ -]{1,64}")
"""Event types that can be declared as a whole: they become part of a template."""


class Device:
    """One bridge, as a device of Home Assistant.

    Args:
        node: its name.
        topics: where it says how it is.
        discovery_topic: where Home Assistant looks.
        commands: whether requests are obeyed.
    """

    def __init__(self, node: str, topics: Topics, discovery_topic: str, *, commands: bool) -> None:
        self._node = node
        self._topics = topics
        self._id = f"relay_bridge_{node}"
        self._commands = commands
        self.topic = f"{discovery_topic}/device/{self._id}/config"
        self.birth_topic = f"{discovery_topic}/status"
        """Where Home Assistant says that it has started."""

    def components(self, types: Mapping[str, Iterable[str]]) -> dict[str, Component]:
        """The entities by ID: those of the bridge, and one for each route.

        Args:
            types: the event types that are known, by route.
        """
        found = self._diagnostics()
        if self._commands:
            found["reload"] = self._component(
                *("button", "reload", "Reload routes"),
                ent_cat="config",
                cmd_t=f"{self._topics.base}/request/reload",
                pl_prs="{}",
            )
        return found | {f"event_{route}": self._event(route, known) for route, known in types.items()}

    def payload(self, components: Mapping[str, Component]) -> dict[str, Any]:
        """The whole message."""
        return {
            "dev": {
                "ids": [self._id],
                "name": f"Relay Bridge {self._node}",
                "mf": "Relay Bridge",
                "mdl": "Webhooks to MQTT and HTTP",
                "sw": __version__,
            },
            "o": {"name": "relay-bridge", "sw": __version__},
            "availability": [{"t": self._topics.status}],
            "qos": 1,
            "cmps": dict(components),
        }

    def _component(self, platform: str, name: str, label: str, **more: Any) -> Component:
        return {"p": platform, "name": label, "unique_id": f"{self._id}_{name}", **more}

    def _of_health(self, platform: str, name: str, label: str, template: str, **more: Any) -> Component:
        shown = {"stat_t": self._topics.health, "val_tpl": f"{{{{ {template} }}}}", "ent_cat": "diagnostic"}
        return self._component(platform, name, label, **shown, **more)

    def _diagnostics(self) -> dict[str, Component]:
        flag = "'ON' if value_json.{} else 'OFF'"
        counter = {"stat_cla": "total_increasing"}
        return {
            "relay": self._of_health(
                *("binary_sensor", "relay", "Relay", flag.format("relay.connected")), dev_cla="connectivity"
            ),
            "problem": self._of_health(
                *("binary_sensor", "problem", "Problem", flag.format("problem")),
                dev_cla="problem",
                json_attr_t=self._topics.health,
                json_attr_tpl="{{ {'problems': value_json.problems} | to_json }}",
            ),
            "webhooks": self._of_health(
                *("sensor", "webhooks", "Webhooks", "value_json.counters.webhooks"), **counter
            ),
            "delivered": self._of_health(
                *("sensor", "delivered", "Delivered", "value_json.counters.delivered"), **counter
            ),
            "dead": self._of_health(
                *("sensor", "dead", "Dead letters", "value_json.counters.dead"), **counter
            ),
            "queue": self._of_health(
                *("sensor", "queue", "Queue", "value_json.queue.pending"), stat_cla="measurement"
            ),
            "last_webhook": self._of_health(
                *("sensor", "last_webhook", "Last webhook", "value_json.last_webhook"), dev_cla="timestamp"
            ),
        }

    def _event(self, route: str, known: Iterable[str]) -> Component:
        types = list(dict.fromkeys([*known, PLAIN, OTHER]))
        # The event itself has the provider's own word; what is unknown becomes `other` over there only.
        chosen = f"value_json.event_type if value_json.event_type in {types} else '{OTHER}'"
        return self._component(
            *("event", f"event_{route}", route),
            evt_typ=types,
            stat_t=self._topics.event(route),
            val_tpl=f"{{{{ dict(value_json, event_type={chosen}) | to_json }}}}",
        )


def removal(component: Component | str) -> Component:
    """What makes Home Assistant remove an entity: its platform alone."""
    return {"p": component if isinstance(component, str) else component["p"]}
