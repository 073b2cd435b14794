"""The items of a route's `send` list: each makes one message of a webhook."""

from dataclasses import dataclass
from typing import Final

from bridge.errors import RenderError
from bridge.message import HttpRequest, MqttMessage
from bridge.routing.headers import Headers, forwarded_headers
from bridge.routing.payload import RAW, Payload
from bridge.routing.scope import Scope
from bridge.routing.template import Template

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""What a sender may choose; CONNECT and TRACE mean something to proxies."""


@dataclass(frozen=True, slots=True)
class MqttItem:
    """A publication: `mqtt:` in a `send` list."""

    target: str
    topic: Template
    """Compiled for Place.TOPIC."""
    payload: Payload = RAW
    qos: int = 1
    retain: bool = False
    expires: bool = False
    """Whether the broker, too, is told when the message is stale."""
    expire_after: float | None = None
    """Seconds from acceptance until it is given up; None: never."""

    def render(self, scope: Scope) -> MqttMessage:
        """The message for one webhook.

        Raises:
            RenderError: a template failed, or yielded no topic.
        """
        payload, content_type = self.payload.render(scope)
        return MqttMessage(
            self.topic.render(scope), payload, self.qos, self.retain, content_type, self.expires
        )


@dataclass(frozen=True, slots=True)
class HttpItem:
    """A request: `http:` in a `send` list."""

    target: str
    url: Template
    """Compiled for Place.URL."""
    method: str | None = None
    """None: the webhook's own."""
    headers: tuple[tuple[str, Template], ...] = ()
    """Compiled for Place.HEADER; they replace forwarded ones of the same name."""
    payload: Payload = RAW
    expire_after: float | None = None
    """Seconds from acceptance until it is given up; None: never."""
    service_url: str = ""
    """What `url` begins with and the request leaves out: the service puts its own before the path."""

    def render(self, scope: Scope) -> HttpRequest:
        """The request for one webhook.

        Raises:
            RenderError: a template failed, or the webhook's method is none to send on.
        """
        method = self.method or scope.webhook.method
        if method not in METHODS:
            raise RenderError("the webhook's method is not one that is forwarded; set `method`")
        body, content_type = self.payload.render(scope)
        own = tuple((name, template.render(scope)) for name, template in self.headers)
        headers = forwarded_headers(scope.webhook)
        if body is not None and content_type is not None:
            headers = _override(headers, (("content-type", content_type),))
        url = self.url.render(scope)[len(self.service_url) :]
        return HttpRequest(method, url, _override(headers, own), body)


def _override(headers: Headers, own: Headers) -> Headers:
    replaced = {name.lower() for name, _ in own}
    return (*(header for header in headers if header[0] not in replaced), *own)


Item = MqttItem | HttpItem
