"""Reading a route's `reply`: what its webhooks' senders are answered."""

from collections.abc import Sequence
from typing import Final

from bridge.config.problems import Code
from bridge.config.reader import Reader
from bridge.config.records import Fields
from bridge.config.targets import Targets
from bridge.routing.items import HttpItem, Item, MqttItem
from bridge.routing.reply import BODILESS, Reply, Source

PATIENCE: Final = 8.0
"""Seconds for which a target's answer is waited for, of the ten that the relay's senders wait."""
_ACCEPTED: Final = 202
_KINDS: Final = {Source.HTTP: HttpItem, Source.MQTT: MqttItem}


def reply_of(route: Fields, items: Sequence[Item], targets: Targets, reader: Reader) -> Reply | None:
    """The reply of a route with these items; None where it has none.

    Raises:
        Invalid: a value of it is wrong, which is noted.
    """
    fields: Fields | None = route["reply"]
    if fields is None:
        return None
    source = Source(fields["from"]) if fields["from"] else None
    status = fields["status"] or (200 if source is None else _ACCEPTED)
    _check_body(fields, status, reader)
    if source is None:
        _check_timeout(fields, reader)
    else:
        _check_source(route, source, items, targets, reader)
    return Reply(
        status=status,
        headers=tuple(fields["headers"].items()),
        body=fields["body"],
        source=source,
        timeout=fields["timeout"] or PATIENCE,
    )


def _check_body(fields: Fields, status: int, reader: Reader) -> None:
    if fields.given("body") and status in BODILESS:
        reader.problems.add(
            Code.CONFLICT,
            fields.node_of("body").position,
            f"an answer with status {status} has no body",
            "remove `body`, or use another status",
        )


def _check_timeout(fields: Fields, reader: Reader) -> None:
    if fields.given("timeout"):
        message, hint = "nobody is waited for", "add `from: http` or `from: mqtt`, or remove `timeout`"
        reader.problems.add(Code.CONFLICT, fields.node_of("timeout").position, message, hint)


def _check_source(
    route: Fields, source: Source, items: Sequence[Item], targets: Targets, reader: Reader
) -> None:
    """Whether there is somebody to answer, and a way for the answer to come."""
    place = route["reply"].node_of("from").position
    asked = next((item for item in items if isinstance(item, _KINDS[source])), None)
    # An item with a mistake is not among `items`, and has been spoken of.
    if asked is None and not any(source.value in item for item in route["send"]):
        message = f"no item of `send` is `{source.value}:`, so that nobody will answer"
        reader.problems.add(Code.CONFLICT, place, message)
    if isinstance(asked, MqttItem) and targets.brokers[asked.target].protocol != "5":
        message = "an answer by MQTT needs MQTT 5, and this item's broker has `protocol: 3.1.1`"
        reader.problems.add(Code.CONFLICT, place, message)
