"""Routes of the file as routes of the table."""

import re
from typing import Any, Final

from bridge.config import slips
from bridge.config.conditions import Match
from bridge.config.model import Silence
from bridge.config.nodes import Scalar
from bridge.config.problems import Code, quoted
from bridge.config.reader import Invalid, Reader
from bridge.config.records import Fields
from bridge.config.reply import reply_of
from bridge.config.targets import Targets
from bridge.config.templates import compiled
from bridge.config.verifiers import Verifiers
from bridge.routing.items import HttpItem, Item, MqttItem
from bridge.routing.match import all_of
from bridge.routing.payload import ENVELOPE, RAW, WEBHOOKRELAY, Payload
from bridge.routing.rate import Excess, Rate
from bridge.routing.table import NO_ORDER, Route
from bridge.routing.template import Place, Template

FORMATS: Final[dict[str, Payload]] = {"raw": RAW, "envelope": ENVELOPE, "webhookrelay": WEBHOOKRELAY}
EVENT_WORDS: Final = frozenset(
    {"event", "events", "ring", "press", "pressed", "click", "push", "trigger", "alert"}
)
"""Words of topics and routes that tell of a moment, not of a state."""


class RouteBuilder:
    """Builds routes one after the other; targets and names are shared by all of them."""

    def __init__(self, defaults: Fields, targets: Targets, verifiers: Verifiers, reader: Reader) -> None:
        self._defaults = defaults
        self._targets = targets
        self._verifiers = verifiers
        self._reader = reader
        self._names: dict[str, Fields] = {}
        self.silences: dict[str, Silence] = {}
        """By the name of the route."""

    def route(self, fields: Fields) -> Route:
        """One route.

        Raises:
            Invalid: it has a mistake, which is noted.
        """
        name = self._name(fields)
        items = self.items(fields["send"], name, fields.usable("expire_after", None))
        match: Match = fields["match"] or Match(all_of([]))
        self._warn_of_constant(fields)
        if fields["expect"] and fields["enabled"]:
            self.silences[name] = Silence(**fields["expect"])
        return Route(
            name=name,
            condition=match.condition,
            items=items,
            buckets=match.buckets,
            dedupe=self._dedupe(fields),
            verifier=self._verifiers.of(fields, self._reader),
            rate=self._rate(fields),
            reply=reply_of(fields, items, self._targets, self._reader),
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
                build = self._mqtt if is_mqtt else self._http
                built.append(build(item, route, expire_after))
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

    def _warn_of_constant(self, fields: Fields) -> None:
        """A `when` without braces; one that is made of ${…} alone is a switch, and meant so."""
        when: Template | None = fields["when"]
        node = fields.node_of("when")
        if when is None or not when.constant or not isinstance(node, Scalar) or "${" in node.text:
            return
        message, hint = "this is the same for every webhook", slips.constant_condition(node.text)
        self._reader.problems.add(Code.ALWAYS_THE_SAME, node.position, message, hint)

    def _dedupe(self, fields: Fields) -> Template | None:
        dedupe: Template | None = fields["dedupe"]
        if dedupe is not None and dedupe.constant:
            node = fields.node_of("dedupe")
            message = "this is the same for every webhook, so that only the first would be sent"
            hint = "write what tells them apart, such as \"{{ header['x-github-delivery'] }}\""
            self._reader.problems.add(Code.BAD_VALUE, node.position, message, hint)
        return dedupe

    def _rate(self, fields: Fields) -> Rate | None:
        rate: Fields | None = fields["rate"]
        if rate is None:
            return None
        if rate["excess"] == "wait" and fields["order"] is NO_ORDER:
            message, hint = "what waits, waits in order", "remove `order: none`, or write `excess: dead`"
            self._reader.problems.add(Code.CONFLICT, rate.node.position, message, hint)
        burst = rate["burst"] or rate["limit"]
        return Rate(limit=rate["limit"], per=rate["per"], burst=burst, excess=Excess(rate["excess"]))

    def _mqtt(self, item: Fields, route: str, expire_after: float | None) -> MqttItem:
        payload = self._payload(item)
        target = self._targets.broker(item, self._reader)
        topic: Template = item["mqtt"]
        kind: str | None = item["kind"]
        retain = self._retain(item, kind)
        if retain and kind is None:
            self._warn_of_event(item, topic, route)
        inherited = expire_after is not None or self._defaults.given("expire_after")
        return MqttItem(
            target=target,
            topic=topic,
            payload=payload,
            qos=1 if kind and item["qos"] is None else self._or_default(item, "qos"),
            retain=retain,
            # A retained state stays true after the time to deliver it, unless the item itself says otherwise.
            expires=item.given("expire_after") or kind == "event" or (inherited and not retain),
            expire_after=item["expire_after"] or expire_after or self._defaults["expire_after"],
        )

    def _retain(self, item: Fields, kind: str | None) -> bool:
        """Whether the broker keeps the message; a word against the item's `kind` is a mistake."""
        said: bool | None = item["retain"]
        if kind is None:
            retain: bool = self._or_default(item, "retain")
            return retain
        retain = kind == "state"
        if said is not None and said is not retain:
            message = "a state is always retained" if retain else "an event is never retained"
            other = "event" if retain else "state"
            hint = f"remove `retain`, or write `kind: {other}`"
            self._reader.problems.add(Code.CONFLICT, item.node_of("retain").position, message, hint)
        return retain

    def _warn_of_event(self, item: Fields, topic: Template, route: str) -> None:
        """By the last level of the topic, or the name of the route."""
        words = re.findall("[a-z]+", f"{topic.source.rpartition('/')[2]} {route}".lower())
        if not EVENT_WORDS.isdisjoint(words):
            message = "this looks like an event; every new subscriber gets a retained message once more"
            place, hint = item.node_of("mqtt").position, "write `kind: event`; or `kind: state`, if it is one"
            self._reader.problems.add(Code.RETAINED_EVENT, place, message, hint)

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
