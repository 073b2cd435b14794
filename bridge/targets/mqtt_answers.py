"""Answers to publications, by request and response (MQTT 5.0, section 4.10).

Each request has a response topic and correlation data of its own. A responder that can't see these
properties, such as an automation of Home Assistant, can make the topic of the webhook's ID. Correlation
data that comes back is compared; without it, the topic has to do.
"""

import re
import secrets
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final

from bridge.message import Delivery
from bridge.routing.reply import LARGEST_BODY, answer_of_message

MOST_ASKED: Final = 1000
LONGEST_WAIT: Final = 10.0
"""Seconds; no sender waits any longer."""

_LEVEL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_CONTENT_TYPE: Final = re.compile(r"[\x20-\x7e]{1,200}").fullmatch


@dataclass(frozen=True, slots=True)
class Request:
    """The properties of a publication that asks for an answer."""

    topic: str
    correlation: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A message on a response topic."""

    topic: str
    payload: bytes
    correlation: bytes | None
    content_type: str | None
    retained: bool = False
    """Not sent now, but kept by the broker."""


@dataclass(frozen=True, slots=True)
class _Asked:
    delivery: Delivery
    at: float
    correlation: bytes = field(default_factory=lambda: secrets.token_bytes(16))


class Answers:
    """Requests that may still be answered, on one broker.

    Attributes:
        taken: answers that were waited for.
        strays: other messages: too late, of nobody's request, or too large.
    """

    def __init__(self, node: str) -> None:
        self.taken = 0
        self.strays = 0
        self._prefix = f"relay-bridge/{node}/reply/"
        self._asked: dict[str, _Asked] = {}
        """By the last level of the response topic, the oldest first."""

    @property
    def filter(self) -> str:
        """What to subscribe to."""
        return f"{self._prefix}+"

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, delivery: Delivery, now: float) -> Request:
        """The properties for a delivery; sent again, it has the same. `now` is on the monotonic clock."""
        self._forget(now)
        webhook_id = delivery.webhook.id
        level = webhook_id if _LEVEL(webhook_id) else secrets.token_urlsafe(16)
        asked = self._asked.get(level)
        if asked is None or asked.delivery is not delivery:
            asked = self._asked[level] = _Asked(delivery, now)
        return Request(self._prefix + level, asked.correlation)

    def take(self, response: Response, now: float) -> None:
        """Hand an answer to who asked; one message is one answer, the first counts."""
        self._forget(now)
        level = response.topic.removeprefix(self._prefix)
        asked = self._asked.get(level)
        given = response.correlation
        if asked is None or not (given is None or compare_digest(given, asked.correlation)):
            self.strays += 1
            return
        del self._asked[level]
        answered = asked.delivery.answered
        if answered is None or len(response.payload) > LARGEST_BODY:
            self.strays += 1
            return
        self.taken += 1
        kind = response.content_type
        answered(answer_of_message(response.payload, kind if kind and _CONTENT_TYPE(kind) else None))

    def _forget(self, now: float) -> None:
        """Let go of the oldest: nobody waits for them any more, or there are too many."""
        for level, asked in list(self._asked.items()):
            if now - asked.at < LONGEST_WAIT and len(self._asked) < MOST_ASKED:
                return
            del self._asked[level]
