"""The conversation with a relay, both sides of it: what each frame means, and what to answer. No I/O.

The client authenticates, subscribes, and answers every `ping` with a `pong`; the server does nothing before
a client authenticated. As documented for Webhook Relay's socket and as its official clients speak it.

That socket has no acknowledgements. A self-hosted relay offers them: a client that says `"ack": "explicit"`
with `subscribe`, and is told the same with `subscribed`, says `{"action": "ack", "id": …}` once it is
responsible for the webhook with this ID and for all that came before it on this connection. What was not
acknowledged comes again on the next connection; `"resume"` names the last one that was.

Two more things are a self-hosted relay's: `"body_encoding": "base64"` asks for bodies that are not UTF-8 as
they came, in frames that say the same; `"group": "name"`, which is told with `subscribed` too, makes this
connection one of several that share a stream, each webhook going to one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from bridge.errors import FrameError
from bridge.relay.frames import (
    BASE64,
    Status,
    Unknown,
    decode_frame,
    encode,
    parse_object,
    text_field,
    text_or_empty,
)
from bridge.secret import Secret
from bridge.webhook import Webhook

DEFAULT_RELAY_URL: Final = "wss://my.webhookrelay.com/v1/socket"

SHOWN: Final = 50
"""Characters of a peer's text that a reason repeats."""

_EXPLICIT: Final = "explicit"
_SUBSCRIBED_TO: Final = "subscribed to buckets: "
_PONG: Final = encode({"action": "pong"})
_PING: Final = encode({"type": "status", "status": "ping"})


@dataclass(frozen=True, slots=True)
class Send:
    """The client has to send this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The relay sends webhooks from now on, of the buckets that it names (it need not name any)."""

    names: tuple[str, ...]
    explicit: bool = False
    """Whether it waits for acknowledgements."""
    group: str = ""
    """Whose members share the webhooks; "" where the relay sends all of them."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The credentials were refused; on the server's side: the client must be."""

    message: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame that calls for nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class AuthRequested:
    """A client presents its credentials."""

    key: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class SubscribeRequested:
    """A client that is authenticated asks for webhooks."""

    buckets: tuple[str, ...] | None
    """Names or IDs; None: every bucket."""
    extras: Mapping[str, Any]
    """Fields that the protocol doesn't have."""
    explicit: bool = False
    """Whether the client acknowledges webhooks."""
    resume: str = ""
    """ID of the last webhook that it acknowledged before; "" where it doesn't know."""
    exact: bool = False
    """Whether it wants bodies that are not UTF-8 in base64."""
    group: str = ""
    """Whose members share the webhooks; "" where it wants all of them."""


@dataclass(frozen=True, slots=True)
class PongReceived:
    """A client answers a ping."""


@dataclass(frozen=True, slots=True)
class AckReceived:
    """A client is responsible for a webhook, and for all that it was sent before that."""

    id: str


ClientEvent = Webhook | Send | Subscribed | Refused | Ignored
ServerEvent = AuthRequested | SubscribeRequested | PongReceived | AckReceived | Refused | Ignored


class ClientState(Enum):
    """Where a client's conversation stands."""

    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    SUBSCRIBING = "subscribing"
    SUBSCRIBED = "subscribed"
    REFUSED = "refused"


# Every status that moves the conversation; one that is not here is ignored.
_TRANSITIONS: Final = {
    (ClientState.AUTHENTICATING, "authenticated"): ClientState.SUBSCRIBING,
    (ClientState.AUTHENTICATING, "unauthorized"): ClientState.REFUSED,
    (ClientState.SUBSCRIBING, "subscribed"): ClientState.SUBSCRIBED,
    (ClientState.SUBSCRIBING, "unauthorized"): ClientState.REFUSED,
    (ClientState.SUBSCRIBED, "unauthorized"): ClientState.REFUSED,
}


class ClientProtocol:
    """One connection's conversation, as the client sees it.

    Args:
        key: the API key.
        secret: its secret.
        buckets: names or IDs; None or empty for all.
        ack: whether to ask for explicit acknowledgements, and for bodies as they came.
        resume: with those, ID of the last webhook that was acknowledged.
        group: whose members share the webhooks; "" for all of them.
    """

    def __init__(
        self,
        key: str,
        secret: Secret,
        buckets: Sequence[str] | None,
        *,
        ack: bool = False,
        resume: str = "",
        group: str = "",
    ) -> None:
        self.state = ClientState.CONNECTING
        self._key = key
        self._secret = secret
        self._buckets = buckets
        self._ack = ack
        self._resume = resume
        self._group = group

    def opened(self) -> str:
        """The text to send on a new connection. It holds the secret."""
        self.state = ClientState.AUTHENTICATING
        return encode({"action": "auth", "key": self._key, "secret": self._secret.reveal()})

    def receive(self, data: str | bytes, now: float) -> ClientEvent:
        """What one message of the relay means. A webhook counts at any time, also before `subscribed`.

        Args:
            data: the message.
            now: Unix time in seconds.

        Raises:
            FrameError: the message is no frame of the protocol; the conversation goes on as if it never was.
        """
        frame = decode_frame(data, now)
        if isinstance(frame, Webhook):
            return frame
        if isinstance(frame, Unknown):
            return Ignored(f"type {frame.type[:SHOWN]!a}")
        return self._status(frame)

    def _status(self, frame: Status) -> ClientEvent:
        if frame.status == "ping":
            return Send(_PONG)
        following = _TRANSITIONS.get((self.state, frame.status))
        if following is None:
            return Ignored(f"status {frame.status[:SHOWN]!a} while {self.state.value}")
        self.state = following
        match following:
            case ClientState.SUBSCRIBING:
                return Send(self._subscribe())
            case ClientState.SUBSCRIBED:
                explicit = self._ack and frame.ack == _EXPLICIT
                group = self._group if frame.group == self._group else ""
                return Subscribed(_bucket_names(frame.message), explicit, group)
            case _:
                return Refused(frame.message)

    def _subscribe(self) -> str:
        frame: dict[str, Any] = {"action": "subscribe"}
        if self._buckets:
            frame["buckets"] = list(self._buckets)
        if self._ack:
            frame |= {"ack": _EXPLICIT, "body_encoding": BASE64}
        if self._ack and self._resume:
            frame["resume"] = self._resume
        if self._group:
            frame["group"] = self._group
        return encode(frame)

    @staticmethod
    def acknowledge(webhook_id: str) -> str:
        """The text that tells the relay of a webhook, and all before it, that it need not send them again."""
        return encode({"action": "ack", "id": webhook_id})


class ServerProtocol:
    """One connection's conversation, as the relay sees it; the shell decides whom it lets in."""

    def __init__(self) -> None:
        self._authenticated = False

    def receive(self, data: str | bytes) -> ServerEvent:
        """What one message of a client means. `relay-go` sends every field always, empty or null.

        Raises:
            FrameError: the message is no frame of the protocol.
        """
        frame = parse_object(data)
        action = text_field(frame, "action")
        match action:
            case "auth":
                return AuthRequested(text_field(frame, "key"), Secret(text_field(frame, "secret")))
            case "subscribe" if not self._authenticated:
                return Refused("authenticate before you subscribe")
            case "subscribe":
                return _subscription(frame)
            case "pong":
                return PongReceived()
            case "ack" if self._authenticated:
                return AckReceived(text_field(frame, "id"))
            case _:
                return Ignored(f"action {action[:SHOWN]!a}")

    def authenticated(self) -> str:
        """The answer to credentials that are good; from here on the client may subscribe."""
        self._authenticated = True
        return _status("authenticated", "connected successfully, subscribe to buckets")

    def refused(self, message: str) -> str:
        """The answer to credentials that are not good."""
        self._authenticated = False
        return _status("unauthorized", message)

    def subscribed(self, names: Sequence[str], to: SubscribeRequested | None = None) -> str:
        """The answer to a subscription: the names of its buckets, and what is granted that it asked for."""
        granted = {}
        if to is not None:
            said = {"ack": _EXPLICIT * to.explicit, "body_encoding": BASE64 * to.exact, "group": to.group}
            granted = {name: value for name, value in said.items() if value}
        return _status("subscribed", _SUBSCRIBED_TO + ", ".join(names), **granted)

    def ping(self) -> str:
        """The relay's own keepalive, sent beside WebSocket pings."""
        return _PING


def _status(status: str, message: str, **more: str) -> str:
    return encode({"type": "status", "status": status, "message": message, **more})


def _subscription(frame: Mapping[str, Any]) -> SubscribeRequested:
    return SubscribeRequested(
        _buckets(frame.get("buckets")),
        _extras(frame),
        explicit=frame.get("ack") == _EXPLICIT,
        resume=text_or_empty(frame.get("resume")),
        exact=frame.get("body_encoding") == BASE64,
        group=text_or_empty(frame.get("group")),
    )


def _bucket_names(message: str) -> tuple[str, ...]:
    if not message.startswith(_SUBSCRIBED_TO):
        return ()
    return tuple(filter(None, message.removeprefix(_SUBSCRIBED_TO).split(", ")))


def _buckets(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise FrameError("bad-field", "buckets is not a list of names")
    return tuple(filter(None, value)) or None


def _extras(frame: Mapping[str, Any]) -> Mapping[str, Any]:
    known = {"action", "key", "secret", "buckets", "ack", "resume", "body_encoding", "group"}
    return {name: value for name, value in frame.items() if name not in known}
