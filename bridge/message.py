"""What a route makes of a webhook, rendered and ready for a target, and what became of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from bridge.webhook import Webhook


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """One MQTT publication. The topic was validated when it was rendered."""

    topic: str
    payload: bytes | None = None
    """None: the webhook's body, byte for byte (it is not stored twice)."""
    qos: int = 1
    retain: bool = False
    content_type: str | None = None
    expires: bool = False
    """Whether the broker is told the time that is left (MQTT 5 message expiry)."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP call. Headers passed the allow-list and hold no CR, LF or NUL."""

    method: str
    url: str
    """A whole URL, or a path of the service: a service that moved gets what is still owed to it."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """None: the webhook's body, byte for byte."""


Message = MqttMessage | HttpRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender of a webhook is answered."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Answered = Callable[[Answer | None], None]
"""Takes what a target answered; None: nothing that can be passed on."""


class FailureKind(Enum):
    """Classes of failed deliveries; what follows from each is decided in `bridge.delivery.retry`."""

    CONNECTION = "connection"
    """The target could not be reached: spends no attempt."""
    BUSY = "busy"
    """The target is there but could not take it now: 408, 425, 429, 5xx, MQTT 0x89, 0x97."""
    REFUSED = "refused"
    """Someone has to change something at the target: 401, 403, 404, MQTT 0x87. Slow retry until expiry."""
    PERMANENT = "permanent"
    """It will never be taken: 400, 413, 415, 422, too large."""
    GONE = "gone"
    """410: the target is paused."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The target took it. `note` is for counters and status, such as `no-subscriber`."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The target did not take it."""

    kind: FailureKind
    code: str
    """Short and stable, for counters: `http-503`, `mqtt-0x87`, `timeout`, `refused`."""
    reason: str = field(default="", compare=False)
    """For people; holds no secret and no control character."""
    retry_after: float | None = None
    """Seconds that the target asked us to wait."""


Result = Delivered | Failure
DELIVERED = Delivered()


@dataclass(slots=True, eq=False)
class Delivery:
    """One message on its way to one target: the unit that lanes order and the journal keeps.

    All times are seconds; `deadline` is on the monotonic clock of this process.
    """

    seq: int
    """Position in the order of acceptance, unique for the life of a journal."""
    webhook_seq: int
    """The same for the webhook: deliveries of one webhook share it."""
    webhook: Webhook
    message: Message
    target: str
    """Name of the target, such as `mqtt:home` or `http:http://127.0.0.1:1880`."""
    order_key: str | None
    """Deliveries of one (target, order_key) keep their order; None: no order."""
    route: str
    generation: int
    """The configuration's generation that routed it."""
    deadline: float | None = None
    attempts: int = 0
    not_before: float = 0.0
    """Monotonic time before which it isn't tried (back-off)."""
    trouble: Failure | None = None
    """Why the last attempt failed."""
    size: int = 0
    """Bytes it holds in memory, estimated."""
    done: bool = False
    """Delivered, dead, expired or evicted: nothing is owed any more."""
    journaled: bool = False
    """Handed to the journal (committed, or waiting in its queue)."""
    identity: int | None = None
    """Digest by which the same delivery is known when the relay sends its webhook again."""
    dedupe: int | None = None
    """Digest of the key by which its route deduplicates; free again if it comes to nothing."""
    answered: Answered | None = None
    """Where the sender waits for the target's answer: called with it, once or more often. Not journaled."""

    @property
    def digests(self) -> tuple[int, ...]:
        """Those of the two that it has."""
        return tuple(one for one in (self.identity, self.dedupe) if one is not None)
