"""What a routing file and the webhooks that it routes agree on: each webhook meets exactly one route."""

from dataclasses import dataclass
from typing import Final

from tests.bench import webhooks
from tests.bench.contenders.base import Place

HEADER: Final = "X-Device"
"""Its value tells the routes of a bucket apart."""
FOLDER: Final = "ci"
"""The topics' first level, as the counter subscribes to it."""
_BUCKET_PLACE, _ROUTE_PLACE = "!" * 5, "~" * 5

_HEAD = """\
relay: {{url: "{relay}", key: bench, secret: bench}}
console: {{listen: "127.0.0.1:0"}}
journal: {{max_bytes: 64GiB}}
brokers:
{brokers}
routes:
{routes}
"""
_BROKER = '  broker-{number}: {{url: "mqtt://127.0.0.1:{port}"}}'
_ROUTE = """\
  - name: route-{route:05d}
    match: {{bucket: bucket-{bucket:05d}, header.x-device: {wanted}}}
    send:
      - mqtt: "{folder}/{{{{ body.repository.name }}}}/push"
        broker: broker-{target}"""


@dataclass(frozen=True, slots=True)
class Layout:
    """How much there is of everything; buckets and targets take turns with routes, routes with webhooks."""

    routes: int = 1
    buckets: int = 1
    targets: int = 1
    """Names of one and the same broker, each with a connection of its own."""
    prefixes: bool = False
    """Whether routes ask how the header begins, each on its own, instead of comparing it."""
    body: int = webhooks.BODY_BYTES
    """Bytes."""

    def routing(self, place: Place) -> str:
        """The routing file."""
        brokers = [_BROKER.format(number=one, port=place.broker_port) for one in range(self.targets)]
        routes = [
            _ROUTE.format(
                route=one,
                wanted=self._wanted(one),
                bucket=one % self.buckets,
                target=one % self.targets,
                folder=FOLDER,
            )
            for one in range(self.routes)
        ]
        return _HEAD.format(relay=place.relay_url, brokers="\n".join(brokers), routes="\n".join(routes))

    def _wanted(self, route: int) -> str:
        value = f"device-{route:05d}"
        return f"{{startswith: {value}}}" if self.prefixes else value

    @property
    def outstanding(self) -> int:
        """Webhooks that may be sent and not yet seen: a hundred, fewer where each takes long.

        That is 4 MiB of large ones, or those of which twenty thousand prefixes are asked. Of more, each would
        wait so long that it is written to the journal, and that would be measured instead.
        """
        asked = self.routes // self.buckets if self.prefixes else 1
        return max(4, min(100, 4 * 1024 * 1024 // self.body, 20_000 // asked))


class Traffic:
    """The webhooks of a layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        frame = webhooks.frame(
            webhooks.body(layout.body),
            bucket=f"bucket-{_BUCKET_PLACE}",
            bucket_id=f"1593fe5f-1d9a-4a63-9f6b-0000000{_BUCKET_PLACE}",
            headers={HEADER: f"device-{_ROUTE_PLACE}"},
        )
        own = ((_BUCKET_PLACE, b"%05d"), (_ROUTE_PLACE, b"%05d"))
        self._template = webhooks.template(frame, (*webhooks.PLACES, *own))

    def batch(self, first: int, count: int, now: int) -> bytes:
        """WebSocket messages, back to back, of `count` webhooks from number `first` on, stamped `now`."""
        return b"".join([self._message(number, now) for number in range(first, first + count)])

    def _message(self, number: int, now: int) -> bytes:
        route = number % self._layout.routes
        bucket = route % self._layout.buckets
        return self._template % (number, bucket, bucket, number, route, number, now)
