"""The scripts that one would write instead: the shortest honest ones, without journal, order or reload."""

import sys
from pathlib import Path

from tests.bench.contenders import npm
from tests.bench.contenders.base import Command, Place

SCRIPTS = Path(__file__).parent.parent / "scripts"


def _environment(place: Place) -> dict[str, str]:
    return {
        "RELAY_URL": place.relay_url,
        "MQTT_PORT": str(place.broker_port),
        "HTTP_URL": place.http_url or "",
    }


class NodeScript:
    """Twenty lines with `ws` and `mqtt`."""

    name = "node"
    title = f"Node script (ws {npm.PACKAGES['ws']}, mqtt {npm.PACKAGES['mqtt']})"

    @property
    def missing(self) -> str | None:
        """Node, perhaps."""
        return npm.missing()

    def prepare(self) -> None:
        """Install the two packages."""
        npm.modules("ws", "mqtt")

    def command(self, place: Place) -> Command:
        """Start the script."""
        script = SCRIPTS / ("node_http.cjs" if place.http_url else "node_mqtt.cjs")
        modules = {"NODE_PATH": str(npm.modules("ws", "mqtt"))}
        return Command(("node", str(script)), _environment(place) | modules)


class PythonScript:
    """Twenty lines with `websockets` and `paho-mqtt`."""

    name = "python"
    title = "Python script (websockets, paho-mqtt)"
    missing = None

    def prepare(self) -> None:
        """Nothing: the libraries are the bridge's own."""

    def command(self, place: Place) -> Command:
        """Start the script."""
        script = SCRIPTS / ("python_http.py" if place.http_url else "python_mqtt.py")
        return Command((sys.executable, str(script)), _environment(place))
