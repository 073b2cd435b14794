"""Secrets made ready to check claims with. Nothing here says which secret was right, or how nearly."""

import hmac
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

ALGORITHMS: Final = ("sha1", "sha256", "sha384", "sha512")
ENCODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "hex": lambda digest: digest.hex().encode(),
    "base64": b64encode,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a webhook says of its origin; worth nothing until the keys prove it."""

    proofs: tuple[str, ...]
    """Signatures or tokens as they were sent, any of which may be right."""
    signed: tuple[bytes, ...] = ()
    """What the signatures are over, in pieces so that a body is not copied."""
    sender_id: str | None = None
    sent_at: float | None = None
    """Unix time in seconds."""


class Keys(Protocol):
    """All secrets of a verifier."""

    def prove(self, claim: Claim) -> bool:
        """Whether any of the secrets made any of the proofs."""


class MacKeys:
    """Secrets that sign by HMAC."""

    def __init__(self, keys: Iterable[bytes], algorithm: str = "sha256", encoding: str = "hex") -> None:
        # Keyed once and copied for each webhook: the key's part of the hash is not computed again.
        self._macs = tuple(hmac.new(key, digestmod=algorithm) for key in keys)
        self._encode = ENCODINGS[encoding]

    def prove(self, claim: Claim) -> bool:
        """Compares text, never decoded bytes: two spellings of one digest must not both pass."""
        proofs = [utf8(proof) for proof in claim.proofs]
        proved = False
        for keyed in self._macs:
            mac = keyed.copy()
            for piece in claim.signed:
                mac.update(piece)
            right = self._encode(mac.digest())
            for proof in proofs:
                proved |= hmac.compare_digest(proof, right)
        return proved


class TokenKeys:
    """Secrets that are sent as they are."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = tuple(keys)

    def prove(self, claim: Claim) -> bool:
        """Compares the token with every secret."""
        proved = False
        for key in self._keys:
            for proof in claim.proofs:
                proved |= hmac.compare_digest(utf8(proof), key)
        return proved


def utf8(text: str) -> bytes:
    """Bytes of any text; a lone surrogate, which no real secret holds, is no error."""
    return text.encode("utf-8", "surrogatepass")
