"""Where items of `send` go: named brokers and services, and the origins of literal URLs."""

import re
from dataclasses import replace
from typing import Any

from bridge.config import slips
from bridge.config.model import BrokerSettings, ServiceSettings
from bridge.config.nodes import Scalar
from bridge.config.problems import Code, did_you_mean, quoted
from bridge.config.reader import Invalid, Reader
from bridge.config.records import Fields
from bridge.config.values import parse_url
from bridge.secret import Secret

DEFAULT_BROKER = BrokerSettings("home")
"""Assumed where the file has no `brokers`."""


class Targets:
    """Every target of a routing file. Routes add the origins of their URLs while they are read."""

    def __init__(
        self, brokers: dict[str, BrokerSettings | None], services: dict[str, ServiceSettings | None]
    ) -> None:
        """Targets that have a name; None stands for one whose own section has a mistake."""
        self._brokers = brokers or {DEFAULT_BROKER.name: DEFAULT_BROKER}
        self._services = services
        self._used = {broker.target: broker for broker in brokers.values() if broker}
        self._requested = {service.target: service for service in services.values() if service}

    @property
    def brokers(self) -> dict[str, BrokerSettings]:
        """By target name: those of the file, or the default one where an item needs it."""
        return self._used

    @property
    def services(self) -> dict[str, ServiceSettings]:
        """By target name: the named ones, and those that items made."""
        return self._requested

    def broker(self, fields: Fields, reader: Reader) -> str:
        """The target name of an item's broker.

        Raises:
            Invalid: there is no such broker, or more than one and none is named.
        """
        name = fields["broker"]
        if name is None:
            if len(self._brokers) > 1:
                names = ", ".join(self._brokers)
                raise reader.wrong(
                    Code.MISSING_KEY,
                    fields.node,
                    "there is more than one broker",
                    f"add `broker:`, one of {names}",
                )
            name = next(iter(self._brokers))
        broker: BrokerSettings = _named(name, self._brokers, "broker", fields, reader)
        self._used[broker.target] = broker
        return broker.target

    def service(self, item: Fields, route: str, reader: Reader) -> tuple[str, str]:
        """The target name of an http item, and the URL that goes before its own.

        Raises:
            Invalid: the URL can't be used, or there is no such service.
        """
        text: str = item["http"]
        if text.startswith("/"):
            service = self._named_service(item, reader)
            prefix = service.url
        else:
            service, prefix = _origin_of(text, item, reader), ""
        service = self._adapted(service, item, route)
        self._requested[service.target] = service
        return service.target, prefix

    def _named_service(self, item: Fields, reader: Reader) -> ServiceSettings:
        if item["service"] is None:
            hint = "add `service:`, or write the whole URL"
            raise reader.wrong(Code.MISSING_KEY, item.node_of("http"), "a path needs a service", hint)
        service: ServiceSettings = _named(item["service"], self._services, "service", item, reader)
        return service

    def _adapted(self, service: ServiceSettings, item: Fields, route: str) -> ServiceSettings:
        """The service, or one of the item's own where the item says something of its own about it."""
        own: dict[str, Any] = {
            key: item[key] for key in ("timeout", "max_in_flight", "ca") if item.given(key)
        }
        if item.given("retry"):
            retry: Fields = item["retry"]
            own["retry"] = replace(service.retry, **{key: retry[key] for key in retry if retry.given(key)})
        secret = {name: value for name, value in item["headers"].items() if isinstance(value, Secret)}
        if secret:
            own["headers"] = (*service.headers, *secret.items())
        return self._unlike_others(replace(service, **own), route) if own else service

    def _unlike_others(self, service: ServiceSettings, route: str) -> ServiceSettings:
        """The service under a name that no other settings have."""
        count = 1
        while True:
            number = f" {count}" if count > 1 else ""
            renamed = replace(service, name=f"{service.name} ({route}{number})")
            if self._requested.get(renamed.target, renamed) == renamed:
                return renamed
            count += 1


def _named(name: str, known: dict[str, Any], kind: str, fields: Fields, reader: Reader) -> Any:
    if name not in known:
        hint = did_you_mean(name, known) or (
            f"known: {', '.join(known)}" if known else f"add it to `{kind}s`"
        )
        raise reader.wrong(Code.UNKNOWN_NAME, fields.node_of(kind), f"unknown {kind} {quoted(name)}", hint)
    if known[name] is None:
        raise Invalid
    return known[name]


def _origin_of(text: str, item: Fields, reader: Reader) -> ServiceSettings:
    """The service that a literal URL belongs to: its scheme, host and port."""
    node = item.node_of("http")
    if item.given("service"):
        hint = "remove `service:`, or write a path"
        raise reader.wrong(Code.CONFLICT, item.node_of("service"), "a whole URL goes to no service", hint)
    found = re.match(r"https?://[^/?#{\s]*", text)
    if not found:
        message = "expected a URL (http:// or https://), or a path that starts with /"
        written = node.text if isinstance(node, Scalar) else ""
        advice = slips.url("it has to start", written, ("http", "https"), "")
        raise reader.wrong(Code.BAD_VALUE, node, message, advice)
    if text[found.end() : found.end() + 1] == "{":
        raise reader.wrong(Code.TEMPLATE, node, "scheme, host and port of a URL can't come from a template")
    try:
        parse_url(found[0], ("http", "https"))
    except ValueError as error:
        advice = slips.url(str(error), found[0], ("http", "https"), "send a header `Authorization`")
        raise reader.wrong(Code.BAD_VALUE, node, f"this URL can't be used: {error}", advice) from None
    origin = found[0].lower()
    return ServiceSettings(origin, origin)
