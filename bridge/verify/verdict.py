"""What a verifier says of a webhook."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from bridge.errors import BridgeError, Fault

Code = Literal[
    "missing-header",
    "malformed-header",
    "not-json",
    "bad-signature",
    "no-time",
    "too-old",
    "in-the-future",
    "replayed",
]


class Clock(NamedTuple):
    """This machine's clock at one moment."""

    now: float
    """Unix time in seconds."""
    synchronised: bool
    """False after a start without a battery-backed clock, until the time was fetched: `now` is wrong then."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The webhook comes from someone who knows a secret."""

    sender_id: str | None = None
    """The sender's name for this delivery; its signature where that takes the place of a name (Slack)."""
    sent_at: float | None = None
    """Unix time in seconds at which the sender says that it sent it."""
    deferred: bool = False
    """Whether its age was not judged, because this machine does not know the time yet."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The webhook must not be delivered on the strength of this verifier."""

    code: Code
    """For counters."""
    reason: str = field(compare=False)
    """For people and logs: it holds no secret, no signature and no text of the webhook."""


Verdict = Verified | Rejected


class Refusal(BridgeError):
    """How a scheme says `Rejected` from the depth of its reading; `Verifier.verify` never lets it out."""

    fault: ClassVar[Fault] = Fault.SENDER

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.verdict = Rejected(code, reason)
