"""Routes of the file as routes of the table."""

from typing import Any, Final

from bridge.config.conditions import Match
from bridge.config.problems import Code, quoted
from bridge.config.reader import Invalid, Reader
from bridge.config.records import Fields
from bridge.config.targets import Targets
from bridge.config.templates import compiled
from bridge.routing.items import HttpItem, Item, MqttItem
from bridge.routing.match import all_of
from bridge.routing.payload import ENVELOPE, RAW, WEBHOOKRELAY, Payload
from bridge.routing.table import Route
from bridge.routing.template import Place, Template

FORMATS: Final[dict[str, Payload]] = {"raw": RAW, "envelope": ENVELOPE, "webhookrelay": WEBHOOKRELAY}
EVENT_WORDS: Final = frozenset(
    {"event", "events", "ring", "press", "pressed", "click", "push", "trigger", "alert"}
)
"""Last levels of topics that tell of a moment, not of a state."""


class RouteBuilder:
    """Builds routes one after the other; targets and names are shared by all of them."""

    def __init__(self, defaults: Fields, targets: Targets, reader: Reader) -> None:
        self._defaults = defaults
        self._targets = targets
        self._reader = reader
        self._names: dict[str, Fields] = {}

    def route(self, fields: Fields) -> Route:
        """One route.

        Raises:
            Invalid: it has a mistake, which is noted.
        """
        name = self._name(fields)
        items = self.items(fields["send"], name, fields.usable("expire_after", None))
        match: Match = fields["match"] or Match(all_of([]))
        return Route(
            name=name,
            condition=match.condition,
            items=items,
            buckets=match.buckets,
            **{key: fields[key] for key in ("when", "order", "final", "enabled")},
        )

    def items(self, send: list[Fields], route: str, expire_after: float | None) -> tuple[Item, ...]:
        """Items of a `send` list; those with a mistake are left out.

        Args:
            send: the list.
            route: the route's name.
            expire_after: what the route says about it, in seconds.
        """
        built: list[Item] = []
        for item in send:
            try:
                is_mqtt = "mqtt" in item
                built.append(
                    self._mqtt(item, expire_after) if is_mqtt else self._http(item, route, expire_after)
                )
            except Invalid:
                continue
        return tuple(built)

    def _name(self, fields: Fields) -> str:
        name: str = fields.usable("name", "")
        first = self._names.setdefault(name, fields)
        if name and first is not fields:
            place = first.node_of("name").position
            message = f"duplicate route name {quoted(name)}; it is first at {place.source.name}:{place.line}"
            self._reader.problems.add(Code.DUPLICATE_NAME, fields.node_of("name").position, message)
        return name

    def _mqtt(self, item: Fields, expire_after: float | None) -> MqttItem:
        payload = self._payload(item)
        target = self._targets.broker(item, self._reader)
        topic: Template = item["mqtt"]
        retain = self._or_default(item, "retain")
        if retain and topic.source.rpartition("/")[2].lower() in EVENT_WORDS:
            message = "this looks like an event; every new subscriber gets a retained message once more"
            self._reader.problems.add(Code.RETAINED_EVENT, item.node_of("mqtt").position, message)
        inherited = expire_after is not None or self._defaults.given("expire_after")
        return MqttItem(
            target=target,
            topic=topic,
            payload=payload,
            qos=self._or_default(item, "qos"),
            retain=retain,
            # A retained state stays true after the time to deliver it, unless the item itself says otherwise.
            expires=item.given("expire_after") or (inherited and not retain),
            expire_after=item["expire_after"] or expire_after or self._defaults["expire_after"],
        )

    def _http(self, item: Fields, route: str, expire_after: float | None) -> HttpItem:
        payload = self._payload(item)
        target, prefix = self._targets.service(item, route, self._reader)
        headers = item["headers"].items()
        return HttpItem(
            target=target,
            url=compiled(item["http"], item.node_of("http"), Place.URL, self._reader, prefix=prefix),
            method=item["method"],
            headers=tuple((name, value) for name, value in headers if isinstance(value, Template)),
            payload=payload,
            expire_after=item["expire_after"] or expire_after or self._defaults["expire_after"],
            service_url=prefix,
        )

    def _payload(self, item: Fields) -> Payload:
        if item.given("payload") and item.given("format"):
            where, message = item.node_of("format").position, "`format` and `payload` say different things"
            self._reader.problems.add(Code.CONFLICT, where, message, "keep one of the two")
        if item.given("payload"):
            payload: Payload = item["payload"]
            return payload
        return FORMATS[item["format"] or "raw"]

    def _or_default(self, item: Fields, key: str) -> Any:
        return self._defaults[key] if item[key] is None else item[key]
