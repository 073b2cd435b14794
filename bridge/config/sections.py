"""Sections of the routing file as settings: relay, brokers, services, journal, console, status."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from bridge.config.grammar import CONSOLE
from bridge.config.grammar_connections import RELAY
from bridge.config.model import (
    BrokerSettings,
    ConsoleSettings,
    GapSettings,
    JournalSettings,
    RelaySettings,
    ServiceSettings,
    StatusSettings,
)
from bridge.config.problems import Code
from bridge.config.reader import Reader
from bridge.config.records import Fields
from bridge.config.targets import Targets
from bridge.config.values import Url, parse_listen
from bridge.delivery.retry import Retry
from bridge.relay.protocol import DEFAULT_RELAY_URL
from bridge.secret import Secret
from bridge.web.hosts import is_loopback

API_KEY_USER = "whr"
"""The key that goes with an API key as the secret."""


def relay_settings(file: Fields, reader: Reader, buckets: frozenset[str] | None) -> RelaySettings:
    """Where webhooks come from; `buckets` are those that the routes name, None means all.

    Raises:
        Invalid: as all functions here, where the section can't be used; the problem is noted.
    """
    fields: Fields = file["relay"] or RELAY.absent(file.node)
    key, secret = _credentials(fields, reader)
    url, wanted = _text(fields["url"]), fields["buckets"]
    chosen = buckets if wanted is None else None if wanted == "all" else wanted
    return RelaySettings(
        url=url,
        key=key,
        secret=secret,
        buckets=None if chosen is None else tuple(sorted(set(chosen))),
        ack=_acknowledges(fields, url, reader),
        group=fields["group"] or "",
    )


def _acknowledges(fields: Fields, url: str, reader: Reader) -> bool:
    if not fields["group"]:
        return fields["ack"] == "explicit" or (fields["ack"] == "auto" and not _is_the_service(url))
    if fields["ack"] == "off":
        message = "a group needs acknowledgements: what a member doesn't acknowledge goes to another one"
        raise reader.wrong(Code.CONFLICT, fields.node_of("ack"), message, "remove `ack`")
    return True


def _is_the_service(url: str) -> bool:
    """Whether this is the public service, of which nobody knows what it makes of such a wish."""
    return urlsplit(url).hostname == urlsplit(DEFAULT_RELAY_URL).hostname


def _text(url: Url | str) -> str:
    return url.text if isinstance(url, Url) else url


def _credentials(fields: Fields, reader: Reader) -> tuple[str, Secret]:
    given = [name for name in ("key", "secret") if fields.given(name)]
    if fields.given("api_key"):
        if given:
            message = "api_key stands instead of key and secret"
            raise reader.wrong(Code.CONFLICT, fields.node_of("api_key"), message, "keep one of the two")
        return API_KEY_USER, fields["api_key"]
    if len(given) < 2:
        missing = " and ".join(f"relay.{name}" for name in ("key", "secret") if name not in given)
        hint = f"add {missing}" if given else f"add {missing}, or relay.api_key"
        raise reader.wrong(Code.MISSING_KEY, fields.node, "the relay's credentials are missing", hint)
    return fields["key"], fields["secret"]


def broker_settings(name: str, fields: Fields, reader: Reader) -> BrokerSettings:
    """One broker."""
    url: Url = fields["url"]
    if fields["protocol"] != "5":
        message = "MQTT 3.1.1 does not say why a broker refuses a message, and has no expiry"
        reader.problems.add(Code.OLD_PROTOCOL, fields.node_of("protocol").position, message)
    if fields.given("cert") != fields.given("key"):
        raise reader.wrong(Code.CONFLICT, fields.node, "cert and key go together")
    settings: dict[str, Any] = fields.without("url")
    if url.path:
        settings["path"] = url.path
    return BrokerSettings(name=name, scheme=url.scheme, host=url.host, port=url.port, **settings)


def service_settings(name: str, fields: Fields, _reader: Reader) -> ServiceSettings:
    """One HTTP service."""
    return ServiceSettings(
        name=name,
        url=fields["url"].text,
        headers=tuple(fields["headers"].items()),
        retry=Retry(**(fields["retry"] or {})),
        **fields.without("url", "headers", "retry"),
    )


def journal_settings(file: Fields) -> JournalSettings:
    """The journal."""
    return JournalSettings(**(file["journal"] or {}))


def gap_settings(file: Fields, reader: Reader) -> GapSettings:
    """What is asked for after a lost connection. In a group nothing: the log has what others got, too."""
    relay: Fields | None = file.usable("relay", None)
    gaps = GapSettings(**(file["gaps"] or {}))
    if relay is None or relay.usable("group", None) is None:
        return gaps
    if file.given("gaps") and gaps.fill:
        message = "in a group no gaps are filled: the relay's log has what went to other members, too"
        hint = "remove `gaps`, or write `fill: false`"
        raise reader.wrong(Code.CONFLICT, file.node_of("gaps"), message, hint)
    return replace(gaps, fill=False)


def console_settings(file: Fields, reader: Reader) -> ConsoleSettings | None:
    """The console, where there is one."""
    if file["console"] is False:
        return None
    fields: Fields = file["console"] or CONSOLE.absent(file.node)
    node = fields.node_of("listen")
    try:
        listen = parse_listen(fields["listen"])
    except ValueError as error:
        raise reader.wrong(Code.BAD_VALUE, node, str(error)) from None
    if isinstance(listen, tuple) and not is_loopback(listen[0]) and not fields.given("token"):
        hint = "add a `token`, or use 127.0.0.1"
        raise reader.wrong(Code.CONFLICT, node, "other machines can connect here", hint)
    return ConsoleSettings(listen, fields["token"], fields["bodies"])


def status_settings(file: Fields, node: str, targets: Targets, reader: Reader) -> StatusSettings | None:
    """Status by MQTT, where it is wanted."""
    fields: Fields | None = file["status"]
    if fields is None:
        return None
    broker = targets.broker(fields, reader)
    topic = fields["topic"] or f"relay-bridge/{node}"
    return StatusSettings(broker=broker, topic=topic, **fields.without("broker", "topic"))
