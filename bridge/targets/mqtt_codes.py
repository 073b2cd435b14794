"""MQTT reason codes, and what follows from each.

Source: MQTT 5.0, section 2.4 and the tables of CONNACK (3.2.2.2), PUBACK (3.4.2.1) and PUBREC (3.5.2.1).
"""

from typing import Final

from paho.mqtt.reasoncodes import ReasonCode

from bridge.message import DELIVERED, Delivered, Failure, FailureKind, Result

NO_SUBSCRIBER: Final = 0x10
SESSION_TAKEN_OVER: Final = 0x8E
UNHEARD: Final = Delivered("no-subscriber")

_KINDS: Final = {
    0x87: FailureKind.REFUSED,  # not authorized
    0x90: FailureKind.PERMANENT,  # topic name invalid
    0x95: FailureKind.PERMANENT,  # packet too large
    0x99: FailureKind.PERMANENT,  # payload format invalid
}

NEEDS_A_PERSON: Final = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x9C, 0x9D})
"""CONNACK: version, client ID, password, not authorized, banned, method, other server, server moved."""


def name_of(code: int) -> str:
    """The name that the standard gives a code; it is the same for every packet that can carry a failure."""
    return next(iter(ReasonCode.names.get(code, ())), "unknown reason")


def failure(kind: FailureKind, code: int) -> Failure:
    """A failure with a reason code's number and name."""
    return Failure(kind, f"mqtt-{code:#04x}", name_of(code))


def _result(code: int) -> Result:
    if code == NO_SUBSCRIBER:
        return UNHEARD
    if code < 0x80:
        return DELIVERED
    return failure(_KINDS.get(code, FailureKind.BUSY), code)


RESULTS: Final = tuple(_result(code) for code in range(256))
"""What the acknowledgement of a publication means, by reason code."""
