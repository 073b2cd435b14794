"""Values that more than one part of the routing file has."""

from typing import Final

from bridge.config.shapes import (
    Choice,
    Duration,
    Integer,
    String,
    any_case,
)
from bridge.routing.items import METHODS

NAME: Final = String(r"[A-Za-z0-9_-]{1,64}", "a name of letters, digits, _ and - (at most 64)")

_FRAMING: Final = any_case(
    "connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade"
)

HEADER_NAME: Final = (
    rf"(?!(?:{_FRAMING})$)"
    r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"
)
"""A token (RFC 9110, section 5.6.2) but those that frame the message or belong to one connection."""

QOS: Final = Integer(0, 2)

METHOD: Final = Choice(tuple(sorted(METHODS)))

EXPIRY: Final = Duration("1s", "8760h")

TEXT: Final = String(r"[\s\S]*")

TOPIC: Final = String(
    r"(?!\$)[^+#/\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]{1,100}"
    r"(?:/[^+#/\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]{1,100}){0,9}",
    "a topic of at most 10 levels, without wildcards",
)
"""What other topics start with."""
