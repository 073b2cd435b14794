"""What a relay's server, sessions and interface need of the part that holds webhooks and positions.

Two things do it: this process with its memory and disk (`bridge.selfhosted.local`), or NATS JetStream for any
number of processes (`bridge.selfhosted.nats`).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import BridgeError, Fault
from bridge.selfhosted.answers import Answer, Answers
from bridge.selfhosted.history import Found, Frame, Origin, Outcome, Query
from bridge.selfhosted.outbound import Outbound
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Limits, Token
from bridge.selfhosted.shelf import DocumentShelf
from bridge.selfhosted.subscriber import Subscriber
from bridge.selfhosted.webhooks import Copy


class EngineUnavailable(BridgeError):
    """Webhooks can't be kept or handed out at the moment."""

    fault = Fault.SYSTEM
    retry = True


class Log(Protocol):
    """Where the frames are."""

    @property
    def complete_since(self) -> float:
        """Unix time since which every frame is there."""

    async def select(self, query: Query) -> Found:
        """The frames that are asked for."""

    async def find(self, log_id: str) -> Frame | None:
        """A frame by its ID."""

    def outcome(self, frame: Frame) -> Outcome | None:
        """What became of a frame that was found."""

    def note(self, log_id: str, outcome: Outcome) -> None:
        """Keep what became of a frame."""


class Publishing(Protocol):
    """Takes webhooks in. Its methods raise EngineUnavailable."""

    @property
    def typical_wait(self) -> float:
        """Seconds that one of the last webhooks waited until it was safe; 0.0 where none has to."""

    async def publish(
        self, bucket_id: str, copies: Sequence[Copy], origin: Origin, *, ephemeral: bool = False
    ) -> list[Frame]:
        """Publish what the outputs of a bucket get of one request.

        Args:
            bucket_id: of the bucket.
            copies: what its outputs get.
            origin: of all copies; it needs no ID.
            ephemeral: whether none of it may get onto a disk.
        """

    async def resend(self, frame: Frame, *, ephemeral: bool) -> Frame:
        """Publish a frame once more, with an ID of its own."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a client subscribed to."""

    token: Token
    """Whose connection it is."""
    bucket_ids: Collection[str]
    """The buckets that it gets the webhooks of."""
    wake: Callable[[], None]
    """Called when there is something to take."""
    cut: Callable[[str], None]
    """Called when it gets nothing any more and is to be closed, with the reason."""
    explicit: bool = False
    """Whether it acknowledges."""
    resume: str = ""
    """ID of the last frame that it acknowledged before; "" where it doesn't know."""
    exact: bool = False
    """Whether it wants bodies that are not UTF-8 in base64."""
    group: str = ""
    """Whose webhooks it shares; "" where it wants all of them."""


class Delivery(Protocol):
    """Hands webhooks out."""

    async def subscribe(self, wanted: Subscription) -> Subscriber:
        """Add a subscriber, which has waiting for it what its token missed.

        Raises:
            EngineUnavailable: ask again later.
        """

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, and remember how far it got."""

    def reached(self, bucket_id: str) -> int:
        """Position of the last frame of a bucket that some subscriber is known to have received."""


class Engine(Delivery, Protocol):
    """All of it."""

    @property
    def shelf(self) -> DocumentShelf:
        """Where the interface keeps what it made."""

    @property
    def answers(self) -> Answers:
        """Who waits for a subscriber's answer."""

    @property
    def limits(self) -> Limits:
        """The settings' limits, or less where the engine can't do as much; valid once it is open."""

    async def open(self, changed: Callable[[], None]) -> None:
        """Begin to use the shelf.

        Args:
            changed: called when somebody else changed what is on it.

        Raises:
            EngineUnavailable: that can't be done now.
            BridgeError: it can't be done at all.
        """

    async def start(self, registry: Registry, outbound: Outbound) -> None:
        """Take up what was there before; from now on, everything else may be used."""

    async def close(self) -> None:
        """Keep what has to be kept, and end. Safe to repeat."""

    @property
    def log(self) -> Log:
        """What came."""

    @property
    def publisher(self) -> Publishing:
        """Takes webhooks in."""

    def complete_since(self, *, ephemeral: bool) -> float:
        """Unix time since which every frame is in the log; also of ephemeral buckets, or only of others."""

    async def called(self, log_id: str, outcome: Outcome, answer: Answer | None) -> None:
        """A public output was called with a frame."""
