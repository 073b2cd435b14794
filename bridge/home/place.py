"""Where status is published, and under which names. Pure."""

from typing import NamedTuple

from bridge.config.model import BrokerSettings, Config, StatusSettings
from bridge.home.discovery import Device
from bridge.home.topics import Topics


class Place(NamedTuple):
    """Where status is published."""

    node: str
    settings: StatusSettings
    broker: BrokerSettings

    @property
    def address(self) -> str:
        """The broker's."""
        return f"{self.broker.host}:{self.broker.port}"

    @property
    def client_id(self) -> str:
        """Beside the one of the path's own connection."""
        return f"{self.broker.client_id or f'relay-bridge-{self.node}-{self.broker.name}'}-status"

    @property
    def topics(self) -> Topics:
        """The bridge's own."""
        return Topics(self.settings.topic)

    @property
    def device(self) -> Device:
        """The bridge in Home Assistant."""
        settings = self.settings
        return Device(self.node, self.topics, settings.discovery_topic, commands=settings.commands)

    @property
    def discovered(self) -> bool:
        """Whether Home Assistant shall find the bridge."""
        return self.settings.discovery == "homeassistant"

    @property
    def retained(self) -> list[str]:
        """Every topic that is retained there."""
        return [*self.topics.retained, *([self.device.topic] if self.discovered else [])]

    @property
    def ever_retained(self) -> list[str]:
        """With those of a discovery that is off by now."""
        return [*self.topics.retained, self.device.topic]


def place_of(config: Config) -> Place | None:
    """Where a routing file wants status; None: nowhere."""
    if config.status is None:
        return None
    return Place(config.node, config.status, config.brokers[config.status.broker])
