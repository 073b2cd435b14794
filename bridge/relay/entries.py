"""What a relay's REST answers say: buckets, pages of its log, and log entries as webhooks. No I/O.

As documented for Webhook Relay's REST API and as its Go client reads it; where the two differ, both are
understood: times are Unix or RFC 3339, pages go on by cursor or by offset, a header is a text or a list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bridge.errors import FrameError
from bridge.relay.frames import decode_frame, encode, text_field
from bridge.webhook import Webhook

Entry = dict[str, Any]

_YEAR_10000: Final = 253_402_300_800


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a bucket; the socket carries webhooks of the internal ones only."""

    name: str
    destination: str
    internal: bool


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket's names, by the IDs that log entries have."""

    id: str
    name: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)


class Directory:
    """The buckets of an account. Without any, entries are read for what they say themselves."""

    def __init__(self, buckets: Sequence[Bucket] = ()) -> None:
        self._by_id = {one.id: one for one in buckets}

    def get(self, bucket_id: str) -> Bucket:
        """A bucket by its ID; one without names where it isn't known."""
        return self._by_id.get(bucket_id) or Bucket(bucket_id, "")

    def knows(self, name: str) -> bool:
        """Whether a bucket has this name or ID."""
        return any(name in (one.id, one.name) for one in self._by_id.values())

    def ids(self, wanted: Sequence[str] | None) -> list[str]:
        """The IDs to ask for: of buckets given by name or ID, or of all; "" asks for all at once."""
        if not self._by_id:
            return list(wanted or [""])
        return [
            one.id for one in self._by_id.values() if not wanted or one.name in wanted or one.id in wanted
        ]


@dataclass(frozen=True, slots=True)
class Connected:
    """A subscriber of the account, as it and the relay describe it: a stranger's text."""

    address: str
    version: str
    since: float | None
    """Unix time."""
    buckets: tuple[str, ...] | None
    """Names or IDs; None where the relay doesn't say."""

    def shares(self, wanted: Sequence[str] | None) -> bool:
        """Whether it gets webhooks of these buckets (None: of any), as far as can be known."""
        return (
            self.buckets is None
            or (not wanted and bool(self.buckets))
            or any(one in self.buckets for one in wanted or ())
        )

    def __str__(self) -> str:
        since = (
            "" if self.since is None else f" since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M}Z"
        )
        return f"{self.version[:100] or 'a client'} at {self.address[:100] or 'an unknown address'}{since}"


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the log."""

    entries: Sequence[Entry]
    following: Mapping[str, str] | None
    """What to ask with for the part that follows; None: this was the last."""
    complete_since: float | None
    """Unix time since which the relay has kept everything, where it says so."""

    @property
    def ascending(self) -> bool:
        """Whether the oldest entry comes first, as far as the entries tell."""
        times = [found for one in self.entries if (found := time_of(one)) is not None]
        return len(times) > 1 and times[0] < times[-1]


def parse_directory(data: bytes) -> Directory:
    """The answer to `GET /v1/buckets`.

    Raises:
        FrameError: it is something else.
    """
    return Directory([_bucket(one) for one in _objects(_parse(data), "buckets")])


def parse_connected(data: bytes) -> list[Connected]:
    """The answer to `GET /v1/connected-clients`.

    Raises:
        FrameError: it is something else.
    """
    return [_connected(one) for one in _objects(_parse(data), "clients")]


def parse_page(data: bytes, asked: Mapping[str, str]) -> Page:
    """The answer to `GET /v1/logs`.

    Args:
        data: the answer's body.
        asked: the `following` that it was asked with; empty for the first page.

    Raises:
        FrameError: it is something else.
    """
    answer = _parse(data)
    entries = _objects(answer, "logs")
    said = answer if isinstance(answer, dict) else {}
    following = _following(said, len(entries))
    return Page(entries, None if following == asked else following, _time(said.get("complete_since")))


def parse_entry(data: bytes) -> Entry:
    """The answer to `GET /v1/logs/{id}`.

    Raises:
        FrameError: it is something else.
    """
    answer = _parse(data)
    if not isinstance(answer, dict):
        raise FrameError("not-an-object", "a log entry that is no object")
    return answer


def time_of(entry: Entry) -> float | None:
    """Unix time at which the relay received an entry's request; None where it doesn't say."""
    return _time(entry.get("created_at"))


def webhook_of(entry: Entry, directory: Directory, otherwise: float) -> Webhook | None:
    """An entry as the socket would have brought it; None where it would not have.

    Args:
        entry: of the log, with its body.
        directory: names of what the entry has the IDs of.
        otherwise: the time of receipt where the entry says none.

    Raises:
        FrameError: it can't be read, or the relay did not keep its content.
    """
    if entry.get("ephemeral") is True:
        raise FrameError("ephemeral", "the relay keeps no content of this bucket's webhooks")
    bucket = directory.get(text_field(entry, "bucket_id"))
    output_id = text_field(entry, "output_id")
    output = bucket.outputs.get(output_id) or Output(
        "", "", not output_id or entry.get("internal") is not False
    )
    if not output.internal or entry.get("status") == "rejected":
        return None
    created = time_of(entry)
    received_at = otherwise if created is None else created
    webhook = decode_frame(encode(_frame(entry, bucket, output)), received_at, late=True)
    return webhook if isinstance(webhook, Webhook) else None


def _frame(entry: Entry, bucket: Bucket, output: Output) -> dict[str, Any]:
    path = "/" + text_field(entry, "extra_path").lstrip("/")
    input_id = text_field(entry, "input_id")
    return {
        "type": "webhook",
        "meta": {
            "id": entry.get("id"),
            "bucked_id": bucket.id,
            "bucket_name": bucket.name or entry.get("bucket_name"),
            "input_id": input_id,
            "input_name": bucket.inputs.get(input_id) or entry.get("input_name"),
            "output_name": output.name or entry.get("output_name"),
            "output_destination": entry.get("output_destination") or output.destination or path,
        },
        "headers": entry.get("headers"),
        "query": entry.get("raw_query") or entry.get("query"),
        "body": entry.get("body"),
        "method": entry.get("method"),
    }


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise FrameError("garbage", f"not JSON: {error.msg}") from None


def _objects(answer: Any, name: str) -> list[Entry]:
    """The objects of a list, which an answer is or holds."""
    found = answer
    if isinstance(answer, dict):
        found = next((answer[key] for key in ("data", name) if answer.get(key) is not None), [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise FrameError("bad-field", f"{name}: not a list of objects")
    return found


def _following(said: Entry, count: int) -> dict[str, str] | None:
    if said.get("has_more") is False:
        return None
    for name in ("next_cursor", "cursor"):
        if isinstance(said.get(name), str | int) and said[name] != "":
            return {"cursor": str(said[name])}
    total, offset = said.get("total"), said.get("offset")
    if count and isinstance(total, int) and isinstance(offset, int) and offset + count < total:
        return {"offset": str(offset + count)}
    return None


def _time(value: Any) -> float | None:
    if isinstance(value, int | float):
        return float(value) if 0 <= value < _YEAR_10000 else None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _connected(found: Entry) -> Connected:
    buckets = found.get("buckets")
    return Connected(
        text_field(found, "client_ip"),
        text_field(found, "client_version"),
        _time(found.get("subscribed_at")),
        tuple(one for one in buckets if isinstance(one, str)) if isinstance(buckets, list) else None,
    )


def _bucket(found: Entry) -> Bucket:
    inputs, outputs = (_objects(found.get(name) or [], name) for name in ("inputs", "outputs"))
    return Bucket(
        text_field(found, "id"),
        text_field(found, "name"),
        {text_field(one, "id"): text_field(one, "name") for one in inputs},
        {text_field(one, "id"): _output(one) for one in outputs},
    )


def _output(found: Entry) -> Output:
    return Output(
        text_field(found, "name"), text_field(found, "destination"), internal=found.get("internal") is True
    )
