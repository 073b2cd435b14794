"""A webhook as it came from the relay: immutable, its body parsed only when something asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from bridge.bodies import Form, decode, media_type, parse_form, parse_pairs

_UNSET: Final = object()


class BodyError(ValueError):
    """The body isn't what was asked of it (not JSON, say)."""


@dataclass(frozen=True, slots=True, eq=False)
class Webhook:
    """One webhook frame of the relay.

    Text comes from strangers: it is hostile wherever it is shown, rendered or forwarded.
    Field names follow the relay's frame (`type: webhook`); see docs of `bridge.relay.protocol`.
    """

    id: str
    """The relay's log ID of this delivery (`meta.id`); "" where the relay gave none."""
    bucket: str
    bucket_id: str
    input: str
    input_id: str
    output: str
    destination: str
    """The output's URL; the inbound path where the bucket has no output; or ""."""
    method: str
    query_string: str
    headers: Mapping[str, tuple[str, ...]]
    """By lower-case name; every value in its order."""
    raw: bytes
    """The body's bytes."""
    received_at: float
    """Unix time at which this process received the frame, in seconds."""
    late: bool = False
    """Found by asking the relay's log after a gap, not received live."""
    _json: Any = field(default=_UNSET, init=False, repr=False)
    _form: Any = field(default=_UNSET, init=False, repr=False)
    _query: Any = field(default=_UNSET, init=False, repr=False)

    @property
    def identity(self) -> tuple[str, str, str, str] | None:
        """What makes two frames the same webhook: (bucket, input, output, id); None without an id."""
        return (self.bucket_id or self.bucket, self.input_id, self.output, self.id) if self.id else None

    @property
    def can_be_answered(self) -> bool:
        """Whether its sender may still wait, and the relay knows which one: it came live, and has an id."""
        return bool(self.id) and not self.late

    @property
    def path(self) -> str:
        """The inbound path where the frame carries it, else the path of the output's URL, else "/"."""
        if self.destination.startswith("/"):
            return self.destination.partition("?")[0]
        try:
            return urlsplit(self.destination).path or "/"
        except ValueError:  # a destination is free text on the relay's side
            return "/"

    def header(self, name: str) -> str | None:
        """The first value of a header, its name in any case; None where it is absent."""
        values = self.headers.get(name.lower())
        return values[0] if values else None

    @property
    def content_type(self) -> str:
        """The media type without its parameters, lower case; "" where none was sent."""
        return media_type(self.header("content-type") or "")

    @property
    def text(self) -> str:
        """The body as the relay sent it, which is text; bytes that are not UTF-8 become U+FFFD."""
        return self.raw.decode("utf-8", "replace")

    @property
    def decoded(self) -> str:
        """The body as text in the charset that its content type names."""
        return decode(self.raw, self.header("content-type") or "")

    @property
    def query(self) -> Mapping[str, tuple[str, ...]]:
        """Query parameters by name; every value in its order."""
        if self._query is _UNSET:
            object.__setattr__(self, "_query", parse_pairs(self.query_string))
        return self._query  # type: ignore[no-any-return]  # a cache slot

    @property
    def form(self) -> Mapping[str, tuple[str, ...]]:
        """Fields of a form (urlencoded or multipart) by name, files left out; empty where it is no form."""
        return self._parsed_form().fields

    @property
    def form_body(self) -> Mapping[str, Any]:
        """A form as one value by name: its first text, parsed JSON, or a file's name, size and type."""
        return self._parsed_form().body

    def _parsed_form(self) -> Form:
        if self._form is _UNSET:
            object.__setattr__(self, "_form", parse_form(self.raw, self.header("content-type") or ""))
        return self._form  # type: ignore[no-any-return]  # a cache slot

    def json(self) -> Any:
        """The body parsed as JSON, whatever its content type says; parsed once.

        Raises:
            BodyError: it is not JSON.
        """
        if self._json is _UNSET:
            object.__setattr__(self, "_json", _parse_json(self.raw))
        if isinstance(self._json, BodyError):
            raise self._json.with_traceback(None)  # raised again and again, it must not collect frames
        return self._json

    def forget(self) -> None:
        """Drop what was parsed: a webhook that waits must not hold its body as a tree of objects."""
        for cache in ("_json", "_form", "_query"):
            object.__setattr__(self, cache, _UNSET)


def _parse_json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:  # kept, so that a body is never parsed twice
        return BodyError(f"the body is not JSON: {error}")
