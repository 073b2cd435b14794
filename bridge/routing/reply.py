"""What the sender of a webhook is answered: by its route, or by what a target said. Pure.

Text of a target is as hostile as that of a webhook: the headers that go on are on an allow-list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

import orjson

from bridge.errors import RenderError
from bridge.message import Answer
from bridge.routing.confine import MAX_HEADER, UNFIT_FOR_HEADER
from bridge.routing.headers import Headers
from bridge.routing.payload import JSON, PLAIN, Payload
from bridge.routing.scope import Scope
from bridge.routing.template import Template

LARGEST_BODY: Final = 64 * 1024
"""Bytes of an answer."""
BODILESS: Final = frozenset({204, 205, 304})
"""Statuses whose answers have no body (RFC 9110, section 6.4.1)."""

_LOWEST, _HIGHEST = 200, 599
_BAD_GATEWAY: Final = 502
_NAMES: Final = frozenset(
    {"cache-control", "content-disposition", "content-language", "content-type", "location", "retry-after"}
)
_PREFIXES: Final = ("webhook-", "x-hook-")
# No x- but those: X-Accel-Redirect and its kin are orders to the proxy before the relay.
_KEYS: Final = {"status", "headers", "body"}


class Source(Enum):
    """Whose answer is passed on."""

    HTTP = "http"
    MQTT = "mqtt"


class Replying(NamedTuple):
    """How the sender of one webhook is answered."""

    route: str
    answer: Answer | RenderError
    """The route's own answer, or why there is none."""
    timeout: float | None = None
    """Seconds for which the target of the plan that is `asked` is waited for; None: there is no such plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`reply` of a route."""

    status: int = 200
    headers: tuple[tuple[str, Template], ...] = ()
    """Compiled for Place.HEADER."""
    body: Payload | None = None
    """None: an empty one."""
    source: Source | None = None
    """None: the answer is given at once; else it is given where the target doesn't answer in time."""
    timeout: float = 0.0
    """Seconds for which a target's answer is waited for."""

    def answer(self, scope: Scope) -> Answer | RenderError:
        """The route's own answer to one webhook, or why it can't be rendered."""
        try:
            return self._rendered(scope)
        except RenderError as error:
            return error

    def _rendered(self, scope: Scope) -> Answer:
        headers = tuple((name, template.render(scope)) for name, template in self.headers)
        if self.body is None:
            return Answer(self.status, headers)
        body, content_type = self.body.render(scope)
        if body is None:
            body = scope.webhook.raw
        if len(body) > LARGEST_BODY:
            raise RenderError(f"an answer of over {LARGEST_BODY} bytes")
        return Answer(self.status, _typed(headers, content_type), body)


def answer_of_response(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
    """What an HTTP service answered, as it is passed on."""
    if not _LOWEST <= status <= _HIGHEST:
        return Answer(_BAD_GATEWAY)
    return _answer(status, _passed(headers), body)


def answer_of_message(payload: bytes, content_type: str | None) -> Answer:
    """What an MQTT 5 responder published.

    A JSON object with a whole number `status` from 200 to 599, and nothing else but `headers` and `body`,
    says all of the answer. Any other payload is the body of an answer 200.

    Args:
        payload: of the message.
        content_type: its property; None: the payload tells.
    """
    value = _parsed(payload)
    if isinstance(value, Mapping) and _is_whole(value):
        body, kind = _body(value.get("body"))
        return _answer(value["status"], _typed(_passed(_pairs(value.get("headers"))), kind), body)
    kind = content_type or (JSON if isinstance(value, dict | list) else PLAIN if payload else None)
    return _answer(200, _passed([("content-type", kind)] if kind else []), payload)


def _is_whole(value: Mapping[str, Any]) -> bool:
    status = value.get("status")
    return type(status) is int and _LOWEST <= status <= _HIGHEST and value.keys() <= _KEYS


def _parsed(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None


def _body(value: Any) -> tuple[bytes, str | None]:
    if value is None:
        return b"", None
    if isinstance(value, str):
        return value.encode(), PLAIN
    try:
        return orjson.dumps(value), JSON
    except TypeError:  # it is nested more deeply than can be written again
        return b"", None


def _pairs(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, Mapping):
        return []
    found = [
        (name, text)
        for name, said in value.items()
        for text in (said if isinstance(said, list) else [said])  # the service's clients write lists
    ]
    return [(name, str(text)) for name, text in found if isinstance(text, str | int | float)]


def _passed(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers that go on to the sender, each once: what frames a message or speaks to a proxy doesn't."""
    found: dict[str, str] = {}
    for name, value in headers:
        is_listed = name.lower() in _NAMES or name.lower().startswith(_PREFIXES)
        if is_listed and _is_token(name) and _is_clean(value):
            found.setdefault(name.lower(), value)
    return tuple(found.items())


def _is_token(name: str) -> bool:
    return len(name) <= 100 and name.isascii() and name.replace("-", "").isalnum()


def _is_clean(value: str) -> bool:
    return len(value) <= MAX_HEADER and UNFIT_FOR_HEADER.search(value) is None


def _typed(headers: Headers, content_type: str | None) -> Headers:
    """The headers with a content type, where they don't say one themselves."""
    if content_type is None or any(name.lower() == "content-type" for name, _ in headers):
        return headers
    return (*headers, ("content-type", content_type))


def _answer(status: int, headers: Headers, body: bytes) -> Answer:
    return Answer(status, headers, b"" if status in BODILESS else body)
