"""No contender: what load generator, broker and counter can do together on their own core."""

import sys

from tests.bench.contenders.base import Command, Place
from tests.bench.contenders.scripts import SCRIPTS


class Ceiling:
    """Cuts the body out of each frame at a known place and publishes it, without reading any JSON.

    A contender that comes near its webhooks per second is limited by the bench rather than by itself.
    """

    name = "ceiling"
    title = "ceiling of the bench"
    missing = None

    def prepare(self) -> None:
        """Nothing."""

    def command(self, place: Place) -> Command:
        """Start the pass-through."""
        environment = {"RELAY_URL": place.relay_url, "MQTT_PORT": str(place.broker_port)}
        return Command((sys.executable, str(SCRIPTS / "passthrough.py")), environment)
