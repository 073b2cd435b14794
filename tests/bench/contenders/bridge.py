"""The bridge, as a user runs it: its journal is on, and everything else is as it comes, but for a port."""

import sys
from collections.abc import Callable
from typing import Final

from tests.bench.contenders.base import Command, Place

FILE: Final = "bridge.yaml"
RUNTIME: Final = "run"
"""The folder of its control socket."""
ROUTING = """
relay: {{url: "{relay}", key: bench, secret: bench}}
{broker}
console: {{listen: "127.0.0.1:0"}}
routes:
  - name: push
    match: {{bucket: bench, header.x-github-event: push}}
    order: {order}
    send:
      - {send}
"""


class Bridge:
    """`python -m bridge run`.

    Args:
        routing: its routing file's text; left out: the one with which it is compared.
    """

    name = "bridge"
    title = "Relay Bridge"
    missing = None

    def __init__(self, routing: Callable[[Place], str] | None = None) -> None:
        self._routing = routing or _routing

    def prepare(self) -> None:
        """Nothing: it runs from the source tree."""

    def command(self, place: Place) -> Command:
        """Start it with a routing file and a state folder of its own."""
        file = place.folder / FILE
        file.write_text(self._routing(place))
        environment = {
            "STATE_DIRECTORY": str(place.folder / "state"),
            "RUNTIME_DIRECTORY": str(place.folder / RUNTIME),
        }
        return Command((sys.executable, "-m", "bridge", "run", "-c", str(file)), environment)


def _routing(place: Place) -> str:
    topic = "ci/{{ body.repository.name }}/push"
    if place.http_url:
        # Nobody else keeps an order over HTTP, where that costs all parallelism.
        return ROUTING.format(
            relay=place.relay_url, broker="", order="none", send=f'http: "{place.http_url}/{topic}"'
        )
    broker = f'brokers: {{home: {{url: "mqtt://127.0.0.1:{place.broker_port}"}}}}'
    return ROUTING.format(relay=place.relay_url, broker=broker, order="push", send=f'mqtt: "{topic}"')
