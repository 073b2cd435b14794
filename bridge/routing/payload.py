"""What a message carries: the body as it came, a text, JSON made of templates, or the whole webhook."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from bridge.errors import RenderError
from bridge.relay.frames import frame_of
from bridge.routing.confine import text
from bridge.routing.headers import CREDENTIALS
from bridge.routing.scope import FirstValues, Scope, timestamp
from bridge.routing.template import Template
from bridge.webhook import BodyError, Webhook

MAX_PAYLOAD: Final = 16 * 1024 * 1024
"""Bytes; escapes can make a 3 MB body several times as long."""
JSON: Final = "application/json"
PLAIN: Final = "text/plain; charset=utf-8"

Tree = Template | str | float | bool | None | Mapping[str, "Tree"] | Sequence["Tree"]
"""JSON some of whose values are templates."""
Rendered = tuple[bytes | None, str | None]
"""Bytes (None: the webhook's body, byte for byte) and their content type (None: unknown)."""


class Payload(Protocol):
    """Makes the payload of one message."""

    def render(self, scope: Scope) -> Rendered:
        """The payload for one webhook.

        Raises:
            RenderError: a template failed, or the result is no JSON or too large.
        """


@dataclass(frozen=True, slots=True)
class RawPayload:
    """The body, byte for byte, with the content type that it came with."""

    def render(self, scope: Scope) -> Rendered:
        """As `Payload.render`; never fails."""
        sent = scope.webhook.header("content-type")
        return None, sent if sent and _CONTENT_TYPE(sent) else None


# It becomes a property of an MQTT message, where a broker drops the client for a control character.
_CONTENT_TYPE: Final = re.compile(r"[\x20-\x7e]{1,200}").fullmatch


@dataclass(frozen=True, slots=True)
class TextPayload:
    """A template's text. One whole `{{ … }}` that yields a list, mapping, number … is sent as JSON."""

    template: Template

    def render(self, scope: Scope) -> Rendered:
        """As `Payload.render`."""
        value = self.template.value(scope)
        try:
            written = text(value).encode()
        except (TypeError, ValueError) as error:
            raise RenderError(f"no text: {error}") from None
        return _bounded(written), PLAIN if isinstance(value, str) else JSON


@dataclass(frozen=True, slots=True)
class JsonPayload:
    """A mapping or list whose templates keep the types of their values."""

    tree: Tree

    def render(self, scope: Scope) -> Rendered:
        """As `Payload.render`."""
        return _json(_filled(self.tree, scope)), JSON


@dataclass(frozen=True, slots=True)
class EnvelopePayload:
    """The webhook as one JSON object, its fields named as templates name them."""

    def render(self, scope: Scope) -> Rendered:
        """As `Payload.render`."""
        webhook = scope.webhook
        headers = FirstValues(webhook.headers)
        for name in CREDENTIALS & headers.keys():
            del headers[name]
        envelope = {
            "id": webhook.id,
            "bucket": webhook.bucket,
            "input": webhook.input,
            "output": webhook.output,
            "method": webhook.method,
            "path": webhook.path,
            "query": FirstValues(webhook.query),
            "headers": headers,
            "body": _body(webhook),
            "received_at": timestamp(webhook.received_at),
            "route": scope.route,
            "late": webhook.late,
        }
        return _json(envelope), JSON


@dataclass(frozen=True, slots=True)
class WebhookRelayPayload:
    """The relay's frame, header names as the service spells them: for flows of its own Node-RED node."""

    def render(self, scope: Scope) -> Rendered:
        """As `Payload.render`."""
        return _json(frame_of(scope.webhook)), JSON


def _filled(tree: Tree, scope: Scope) -> Any:
    if isinstance(tree, Template):
        return tree.value(scope)
    if isinstance(tree, Mapping):
        return {key: _filled(value, scope) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_filled(value, scope) for value in tree]
    return tree


def _body(webhook: Webhook) -> orjson.Fragment | str:
    """JSON goes in as it came: written anew it could differ, and it may nest too deeply for that."""
    try:
        webhook.json()
    except BodyError:
        return webhook.text
    return orjson.Fragment(webhook.raw)


def _json(value: Any) -> bytes:
    try:
        return _bounded(orjson.dumps(value))
    except TypeError as error:
        raise RenderError(f"no JSON: {error}") from None


def _bounded(written: bytes) -> bytes:
    if len(written) > MAX_PAYLOAD:
        raise RenderError(f"a payload of over {MAX_PAYLOAD} bytes")
    return written


RAW: Final = RawPayload()
ENVELOPE: Final = EnvelopePayload()
WEBHOOKRELAY: Final = WebhookRelayPayload()
