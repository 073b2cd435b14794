"""A dry run as plain values: what becomes of a webhook, fit to be compared and to be shown. Pure.

Nothing that a reference of the routing file stands for is among what is meant to be shown.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, repeat
from reprlib import Repr
from typing import Any, Final, NamedTuple

from bridge.config.model import Config
from bridge.errors import RenderError
from bridge.message import HttpRequest, Message
from bridge.routing.items import Item
from bridge.routing.match import CONCEALED
from bridge.routing.payload import JsonPayload, Payload, TextPayload, Tree
from bridge.routing.rate import Rate
from bridge.routing.reply import Reply, Replying
from bridge.routing.table import Plan, Route, RouteTable
from bridge.routing.template import Template
from bridge.routing.trace import RouteTrace, explain
from bridge.webhook import Webhook

LONGEST_SHOWN: Final = 200
"""Characters of a value or payload."""

_short: Final = Repr()  # a body can nest more deeply than Python's repr can follow
_short.maxstring = _short.maxother = LONGEST_SHOWN
_short.maxlist = _short.maxtuple = 20


@dataclass(frozen=True, slots=True, eq=False)
class Sending:
    """One delivery that would be made."""

    plan: Plan
    facts: Mapping[str, Any]
    """What a test can expect: `mqtt`, `qos` and `retain`, or `http` (the whole URL), `method` and `headers`;
    empty where it would be a dead letter at once."""
    payload: bytes
    secret: bool
    """Whether the payload holds what a reference stands for."""

    @property
    def address(self) -> str:
        """Where it goes, in words."""
        if self.plan.message is None:
            return f"{self.plan.target} <- dead letter: {self.plan.error}"
        kind = "http" if "http" in self.facts else "mqtt"
        return f"{kind} {self.facts[kind]}"

    @property
    def text(self) -> str:
        """The payload's beginning, for people."""
        return CONCEALED if self.secret else beginning(self.payload)


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """What the sender would be answered; where a target is asked first, in case that it doesn't answer."""

    facts: Mapping[str, Any]
    """What a test can expect: `status`, `headers`, and `from` (http or mqtt) where a target is asked; no
    status where it can't be rendered."""
    body: bytes
    secret: bool
    """Whether the body holds what a reference stands for."""
    asked: str | None
    """The target whose answer is waited for."""
    timeout: float
    """Seconds for which it is."""
    error: RenderError | None

    @property
    def text(self) -> str:
        """The body's beginning, for people."""
        return CONCEALED if self.secret else beginning(self.body)


class Step(NamedTuple):
    """What becomes of a webhook at one route, or after the last one where none matched."""

    trace: RouteTrace
    sendings: tuple[Sending, ...]
    rate: Rate | None
    """How often the route sends, where it sends something."""
    response: Response | None

    @property
    def why(self) -> str:
        """Why the route sends nothing, and what it saw; "" where its verdict says all."""
        error, rejection, failed = self.trace.error, self.trace.rejection, self.trace.mismatch
        if error is not None:
            return str(error)
        if rejection is not None:
            return f"{rejection.code}, {rejection.reason}"
        if failed is None:
            return ""
        seen = ", ".join(map(shown, failed.seen)) or "nothing"
        return f"{failed.source} {failed.operator} {shown(failed.expected)} - saw {seen}"


def trusting(config: Config) -> Config:
    """The same configuration, taking every webhook for genuine."""
    routes = [replace(route, verifier=None) for route in config.table.routes]
    return replace(config, table=RouteTable(routes, config.table.unmatched))


def dry_run(config: Config, webhook: Webhook) -> list[Step]:
    """What a configuration does with a webhook, route by route; nothing is sent."""
    traces = explain(config.table, webhook)
    routes = [*config.table.routes, config.table.fallback]
    return [_step(trace, route, config, webhook) for trace, route in zip(traces, routes, strict=False)]


def shown(value: object) -> str:
    """A value of a condition in short."""
    return value if value == CONCEALED and isinstance(value, str) else _short.repr(value)


def beginning(payload: bytes) -> str:
    """The beginning of a payload, for people."""
    text = payload.decode("utf-8", "replace")
    return f"{text[:LONGEST_SHOWN]}… ({len(payload)} bytes)" if len(text) > LONGEST_SHOWN else text


def _step(trace: RouteTrace, route: Route, config: Config, webhook: Webhook) -> Step:
    return Step(
        trace=trace,
        sendings=tuple(_sendings(trace, route.items, config, webhook)),
        rate=route.rate if trace.plans else None,
        response=_response(route.reply, trace.reply, trace.plans) if route.reply and trace.reply else None,
    )


def _response(reply: Reply, replying: Replying, plans: Iterable[Plan]) -> Response:
    own = replying.answer
    facts: dict[str, Any] = {} if reply.source is None else {"from": reply.source.value}
    if not isinstance(own, RenderError):
        facts |= {"status": own.status, "headers": _headers(reply, own.headers)}
    return Response(
        facts=facts,
        body=b"" if isinstance(own, RenderError) else own.body,
        secret=reply.body is not None and _is_secret(reply.body),
        asked=next((plan.target for plan in plans if plan.asked), None),
        timeout=reply.timeout,
        error=own if isinstance(own, RenderError) else None,
    )


def _headers(reply: Reply, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    secret = {name.lower() for name, template in reply.headers if template.secret}
    found = {name.lower(): value for name, value in headers}
    return {name: CONCEALED if name in secret else value for name, value in found.items()}


def _sendings(
    trace: RouteTrace, items: Iterable[Item], config: Config, webhook: Webhook
) -> Iterator[Sending]:
    for plan, item in zip(trace.plans, chain(items, repeat(None)), strict=False):
        yield _sending(plan, item, config, webhook)


def _sending(plan: Plan, item: Item | None, config: Config, webhook: Webhook) -> Sending:
    message = plan.message
    if message is None:
        return Sending(plan, {}, b"", secret=False)
    own = message.body if isinstance(message, HttpRequest) else message.payload
    return Sending(
        plan,
        _facts(message, plan.target, config),
        webhook.raw if own is None else own,
        secret=item is not None and _is_secret(item.payload),
    )


def _facts(message: Message, target: str, config: Config) -> Mapping[str, Any]:
    if not isinstance(message, HttpRequest):
        return {
            "mqtt": message.topic,
            "qos": message.qos,
            "retain": message.retain,
            "content_type": message.content_type,
        }
    service = config.services[target]
    url = service.url + message.url if message.url.startswith("/") else message.url
    headers = {name.lower(): value for name, value in message.headers}
    headers |= {name.lower(): CONCEALED for name, _ in service.headers}
    return {"http": url, "method": message.method, "headers": headers}


def _is_secret(payload: Payload) -> bool:
    match payload:
        case TextPayload(template):
            return template.secret
        case JsonPayload(tree):
            return _holds_secret(tree)
    return False


def _holds_secret(tree: Tree) -> bool:
    if isinstance(tree, Template):
        return tree.secret
    if isinstance(tree, Mapping):
        return any(map(_holds_secret, tree.values()))
    return isinstance(tree, list | tuple) and any(map(_holds_secret, tree))
