"""The webhooks and routes of a run: as YAML for the bridge, and as plain Python for the oracle."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from bridge.webhook import Webhook
from tests.support.relay import a_webhook

BUCKETS = ("door", "shop")
BROKER, SERVICE = "mqtt:home", "http:shop"
LARGEST_NOISE = 5000


def _noise(seed: int, size: int) -> str:
    """What compresses badly; a large one repeats itself, since it is a relay that has to compress it."""
    block = Random(seed).randbytes(min(size, LARGEST_NOISE) // 2).hex()
    return block * -(-size // LARGEST_NOISE)


@dataclass(frozen=True, slots=True)
class Event:
    """What a sender said: it becomes one webhook."""

    n: int
    bucket: str
    sender: str
    poison: bool
    """The service never takes it."""
    size: int
    """Bytes that the body has beside its fields."""

    @property
    def body(self) -> bytes:
        """A body that no re-encoding leaves as it is: odd spacing, an escape, a character beyond the BMP."""
        poison = "true" if self.poison else "false"
        note = _noise(self.n, self.size)
        return (
            f'{{"n":  {self.n}, "sender": "{self.sender}", "poison": {poison},'
            f' "note": "\\u00e9 😀 <&> {note}"}}\n'
        ).encode()

    def webhook(self) -> Webhook:
        """As the relay has it."""
        return replace(a_webhook(self.n, bucket=self.bucket), raw=self.body)


@dataclass(frozen=True, slots=True)
class Route:
    """One route with one item."""

    name: str
    bucket: str
    target: str
    place: str
    """Topic or path; it begins with what no other route has. `*` stands for the sender."""
    order: str = ""
    """"" (the route's own order), `sender` or `none`."""
    rendered: bool = False
    """Whether the payload is made by a template."""
    poison_only: bool = False

    def wants(self, event: Event) -> bool:
        """Whether it matches."""
        return event.bucket == self.bucket and (event.poison or not self.poison_only)

    def place_of(self, event: Event) -> str:
        """Where it sends an event."""
        return self.place.replace("*", event.sender)

    def lane_of(self, event: Event) -> str | None:
        """What keeps its order; None: nothing does."""
        if self.order == "none":
            return None
        return f"{self.name} {event.sender}" if self.order == "sender" else self.name

    def yaml(self, qos: int) -> str:
        """Its lines in the routing file."""
        poison = ", body.poison: true" if self.poison_only else ""
        place = self.place.replace("*", "{{ body.sender }}")
        order = {"sender": '    order: "{{ body.sender }}"\n', "none": "    order: none\n"}.get(
            self.order, ""
        )
        item = f'mqtt: "{place}"\n        qos: {qos}' if self.target == BROKER else f'http: "{place}"'
        item += "\n        service: shop" if self.target == SERVICE else ""
        if self.rendered:
            item += '\n        payload: {n: "{{ body.n }}", sender: "{{ body.sender }}"}'
        return (
            f"  - name: {self.name}\n    match: {{bucket: {self.bucket}{poison}}}\n{order}"
            f"    send:\n      - {item}\n"
        )


ROUTES = (
    Route("ring", "door", BROKER, "ring/*", order="sender"),
    Route("all", "door", BROKER, "all"),
    Route("loose", "shop", BROKER, "loose/*", order="none"),
    Route("note", "shop", BROKER, "note", rendered=True),
    Route("orders", "shop", SERVICE, "/orders/*", order="sender"),
    Route("poison", "shop", SERVICE, "/poison/*", order="sender", poison_only=True),
)


def routes_for(event: Event) -> Iterator[Route]:
    """The routes that match an event."""
    return (route for route in ROUTES if route.wants(event))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a seed decides about the routing file."""

    window: int = 100
    """Publications in flight at most."""
    requests: int = 10
    """HTTP requests in flight at most."""
    qos: int = 1
    linger: int = 20
    """Milliseconds."""

    def yaml(self, *, relay: int, broker: int, service: int, secret: str) -> str:
        """The routing file for these ports."""
        broker_url, service_url = f"mqtt://127.0.0.1:{broker}", f"http://127.0.0.1:{service}"
        retry = "{attempts: 1000, first: 20ms, longest: 100ms}"
        return (
            "node: chaos\n"
            f"relay: {{url: 'ws://127.0.0.1:{relay}/v1/socket', key: the-key, secret: {secret}}}\n"
            f"brokers: {{home: {{url: '{broker_url}', keepalive: 5, max_in_flight: {self.window}}}}}\n"
            f"services: {{shop: {{url: '{service_url}', timeout: 3s, max_in_flight: {self.requests},"
            f" retry: {retry}}}}}\n"
            f"journal: {{linger: {self.linger}ms}}\n"
            "console: off\n"
            "gaps: {fill: false}\n"  # the oracle has to know alone what was sent
            "routes:\n" + "".join(route.yaml(self.qos) for route in ROUTES)
        )
