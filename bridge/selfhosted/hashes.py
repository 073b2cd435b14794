"""Hashes of tokens' secrets: bcrypt, from the extra `relay`. A relay with declared tokens needs none."""

from typing import Any, Final

from bridge.errors import BridgeError, Fault

COST: Final = 10
"""2^COST rounds: 50 ms on a server, some 300 on a Raspberry Pi. The secrets are 256 random bits."""


class HashesUnavailable(BridgeError):
    """The library is not installed."""

    fault = Fault.SYSTEM


def hash_secret(secret: str) -> str:
    """The hash to keep.

    Raises:
        HashesUnavailable: it can't be made here.
    """
    bcrypt = _bcrypt()
    return str(bcrypt.hashpw(_bounded(secret), bcrypt.gensalt(COST)).decode())


def fits(secret: str, known: str) -> bool:
    """Whether a secret has this hash. Takes a core for as long as the hash asks.

    Raises:
        HashesUnavailable: it can't be found out here.
    """
    try:
        return bool(_bcrypt().checkpw(_bounded(secret), known.encode()))
    except ValueError:  # this is no hash
        return False


def _bounded(secret: str) -> bytes:
    """Bcrypt looks at 72 bytes; the relay's own secrets have 43."""
    return secret.encode("utf-8", "replace")[:72]


def _bcrypt() -> Any:
    try:
        import bcrypt  # noqa: PLC0415  # only relays whose tokens are made by the interface need it
    except ImportError:
        raise HashesUnavailable("tokens need bcrypt: pip install 'relay-bridge[relay]'") from None
    return bcrypt
