"""How each kind of sender proves who it is.

A scheme says where a webhook carries its proof and what that covers; `bridge.verify.keys` checks it. Facts
come from the senders' own documentation of their webhooks, and from the Standard Webhooks specification 1.0.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final, Protocol

from bridge.errors import ConfigError
from bridge.secret import Secret
from bridge.verify.canonical import canonical, parse, quoted
from bridge.verify.fields import after_prefix, iso_time, sole_header, text_member, unix_seconds
from bridge.verify.keys import ALGORITHMS, ENCODINGS, Claim, Keys, MacKeys, TokenKeys, utf8
from bridge.verify.verdict import Refusal
from bridge.webhook import BodyError, Webhook

DEFAULT_WINDOW: Final = 300.0


class Naming(Enum):
    """How well a sender names its deliveries."""

    NONE = "none"
    WEAK = "weak"
    """A forger can choose another ID, or two honest deliveries can have the same one."""
    STRONG = "strong"
    """Each has its own, and the proof covers it."""


class Scheme(Protocol):
    """One way to sign a webhook."""

    @property
    def window(self) -> float | None:
        """Seconds between sending and receiving that are usual; None: its proof covers no time."""

    @property
    def naming(self) -> Naming:
        """Whether deliveries have IDs."""

    def keys(self, secrets: Sequence[Secret]) -> Keys:
        """The secrets, made ready; ConfigError where one can't be a key of this scheme."""

    def claim(self, webhook: Webhook) -> Claim:
        """What a webhook says of its origin; Refusal where it says nothing that could be checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacHeader:
    """An HMAC in a header of its own: GitHub, Gitea, Forgejo, Shopify, Slack, and any other of this kind."""

    header: str
    algorithm: str = "sha256"
    """sha1, sha256, sha384 or sha512."""
    encoding: str = "hex"
    """hex (lower case) or base64 (with padding)."""
    prefix: str = ""
    """What stands before the digest: `sha256=`."""
    signed: str = "{body}"
    """What the digest is over, with `{body}`, `{timestamp}` and `{id}` for the body and the two headers."""
    timestamp_header: str | None = None
    """Unix time in seconds."""
    id_header: str | None = None
    distinct: bool = False
    """Whether no two deliveries of one second are alike, so that the signature can stand for an ID."""
    _pieces: tuple[str, ...] = field(init=False, repr=False)
    """`signed` in pieces: at odd places the name of what stands there."""

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ConfigError(f"algorithm must be one of {', '.join(ALGORITHMS)}")
        if self.encoding not in ENCODINGS:
            raise ConfigError(f"encoding must be one of {', '.join(ENCODINGS)}")
        object.__setattr__(self, "_pieces", tuple(_PLACEHOLDER.split(self.signed)))
        self._check_signed()

    def _check_signed(self) -> None:
        names = self._pieces[1::2]
        if any("{" in text or "}" in text for text in self._pieces[::2]):
            raise ConfigError("signed can hold {body}, {timestamp} and {id}, and no other braces")
        if names.count("body") != 1:
            raise ConfigError("signed must hold {body} once")
        if ("timestamp" in names) != (self.timestamp_header is not None):
            raise ConfigError("{timestamp} in signed and timestamp_header need each other")
        if "id" in names and self.id_header is None:
            raise ConfigError("{id} in signed needs id_header")
        if self.timestamp_header and self.id_header and "id" not in names:
            raise ConfigError("id_header needs {id} in signed: a replay is known by what is signed")

    @property
    def window(self) -> float | None:
        """As `Scheme.window`."""
        return DEFAULT_WINDOW if self.timestamp_header else None

    @property
    def naming(self) -> Naming:
        """By an ID or, where only the time is signed, by the signature."""
        if self.distinct or "id" in self._pieces[1::2]:
            return Naming.STRONG
        return Naming.WEAK if self.id_header or self.timestamp_header else Naming.NONE

    def keys(self, secrets: Sequence[Secret]) -> Keys:
        """The secrets' text as keys."""
        return MacKeys(map(_literal, secrets), self.algorithm, self.encoding)

    def claim(self, webhook: Webhook) -> Claim:
        """The digest, and what it should be over."""
        proof = after_prefix(sole_header(webhook, self.header), self.prefix, self.header)
        timestamp = sole_header(webhook, self.timestamp_header) if self.timestamp_header else ""
        sent_at = unix_seconds(timestamp, self.timestamp_header) if self.timestamp_header else None
        sender_id = self._sender_id(webhook)
        found = {"body": webhook.raw, "timestamp": utf8(timestamp), "id": utf8(sender_id or "")}
        pieces = enumerate(self._pieces)
        return Claim(
            proofs=(proof,),
            signed=tuple(found[piece] if place % 2 else utf8(piece) for place, piece in pieces if piece),
            sender_id=sender_id or (proof if self.timestamp_header else None),
            sent_at=sent_at,
        )

    def _sender_id(self, webhook: Webhook) -> str | None:
        if self.id_header is None:
            return None
        signed = "id" in self._pieces[1::2]
        return sole_header(webhook, self.id_header) if signed else webhook.header(self.id_header)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A shared token in a header. It covers nothing of the webhook: whoever saw one can send any."""

    header: str = "authorization"
    prefix: str | None = None
    """What stands before the token; None: `Bearer ` in `authorization`, and nothing in any other header."""
    id_header: str | None = None
    window: ClassVar[None] = None

    @property
    def naming(self) -> Naming:
        """As `Scheme.naming`."""
        return Naming.WEAK if self.id_header else Naming.NONE

    def keys(self, secrets: Sequence[Secret]) -> Keys:
        """The secrets as they are."""
        return TokenKeys(map(_literal, secrets))

    def claim(self, webhook: Webhook) -> Claim:
        """The token."""
        usual = "Bearer " if self.header.lower() == "authorization" else ""
        prefix = usual if self.prefix is None else self.prefix
        token = after_prefix(sole_header(webhook, self.header), prefix, self.header)
        return Claim(proofs=(token,), sender_id=webhook.header(self.id_header) if self.id_header else None)


class Stripe:
    """`Stripe-Signature: t=…,v1=…`; two `v1` while a secret is being rolled. The secret is not decoded."""

    window: Final = DEFAULT_WINDOW
    naming: Final = Naming.STRONG
    _HEADER: Final = "stripe-signature"

    def keys(self, secrets: Sequence[Secret]) -> Keys:
        """The whole `whsec_…` texts as keys."""
        return MacKeys(map(_literal, secrets))

    def claim(self, webhook: Webhook) -> Claim:
        """The `v1` signatures over `{t}.{body}`; the ID is the event's, in the body."""
        fields = [entry.partition("=") for entry in sole_header(webhook, self._HEADER).split(",")]
        times = [value for name, _, value in fields if name == "t"]
        proofs = tuple(value for name, _, value in fields if name == "v1")
        if len(times) != 1 or not proofs:
            raise Refusal("malformed-header", f"the header {self._HEADER} needs one t and at least one v1")
        return Claim(
            proofs=proofs,
            signed=(utf8(times[0]), b".", webhook.raw),
            sender_id=_event_id(webhook),
            sent_at=unix_seconds(times[0], self._HEADER),
        )


class StandardWebhooks:
    """Standard Webhooks, symmetric signatures; Svix sends the same under its own header names."""

    window: Final = DEFAULT_WINDOW
    naming: Final = Naming.STRONG

    def keys(self, secrets: Sequence[Secret]) -> Keys:
        """The bytes that `whsec_` and base64 stand for."""
        return MacKeys(map(_standard_key, secrets), encoding="base64")

    def claim(self, webhook: Webhook) -> Claim:
        """The `v1` signatures over `{id}.{timestamp}.{body}`."""
        svix = "svix-signature" in webhook.headers and "webhook-signature" not in webhook.headers
        family = "svix" if svix else "webhook"
        entries = sole_header(webhook, f"{family}-signature").split(" ")
        sender_id = sole_header(webhook, f"{family}-id")
        timestamp = sole_header(webhook, f"{family}-timestamp")
        proofs = tuple(entry.removeprefix("v1,") for entry in entries if entry.startswith("v1,"))
        if not proofs:
            raise Refusal("malformed-header", f"the header {family}-signature holds no v1 signature")
        # The specification warns of it: a dot would let a forger move the borders of what was signed.
        if "." in sender_id:
            raise Refusal("malformed-header", f"the header {family}-id holds a full stop")
        return Claim(
            proofs=proofs,
            signed=(utf8(f"{sender_id}.{timestamp}."), webhook.raw),
            sender_id=sender_id,
            sent_at=unix_seconds(timestamp, f"{family}-timestamp"),
        )


class RelayBox:
    """RelayBox signs the document rather than its bytes: canonical JSON text, quoted as a JSON string."""

    window: Final = 60.0
    naming: Final = Naming.STRONG

    def keys(self, secrets: Sequence[Secret]) -> Keys:
        """The keys' text, although it looks like hexadecimal digits."""
        return MacKeys(map(_literal, secrets))

    def claim(self, webhook: Webhook) -> Claim:
        """The signature; time and ID are the body's, as the header `-id` names the configuration."""
        proof = sole_header(webhook, "x-relaybox-webhook-signature")
        try:
            document = parse(webhook.raw)
            signed = quoted(canonical(document))
        except BodyError as error:
            raise Refusal("not-json", str(error)) from None
        return Claim(
            proofs=(proof,),
            signed=(signed.encode(),),
            sender_id=text_member(document, "id"),
            sent_at=iso_time(text_member(document, "timestamp")),
        )


def _literal(secret: Secret) -> bytes:
    return utf8(secret.reveal())


def _standard_key(secret: Secret) -> bytes:
    text = secret.reveal().removeprefix("whsec_")
    try:
        key = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    # Spelled another way it would still decode, and a mistyped secret would pass for the right one.
    if not key or b64encode(key).decode() != text:
        raise ConfigError("a secret of this scheme is base64, with or without whsec_ before it")
    return key


def _event_id(webhook: Webhook) -> str | None:
    try:
        return text_member(webhook.json(), "id")
    except BodyError:
        return None


_PLACEHOLDER: Final = re.compile(r"\{(body|timestamp|id)\}")

SCHEMES: Final[Mapping[str, Scheme]] = {
    "github": HmacHeader(header="x-hub-signature-256", prefix="sha256=", id_header="x-github-delivery"),
    "gitea": HmacHeader(header="x-gitea-signature", id_header="x-gitea-delivery"),
    "forgejo": HmacHeader(header="x-forgejo-signature", id_header="x-forgejo-delivery"),
    "gitlab": Token(header="x-gitlab-token", id_header="idempotency-key"),
    "shopify": HmacHeader(
        header="x-shopify-hmac-sha256", encoding="base64", id_header="x-shopify-webhook-id"
    ),
    "stripe": Stripe(),
    "slack": HmacHeader(
        header="x-slack-signature",
        prefix="v0=",
        signed="v0:{timestamp}:{body}",
        timestamp_header="x-slack-request-timestamp",
        distinct=True,
    ),
    "standard-webhooks": StandardWebhooks(),
    "relaybox": RelayBox(),
}
"""Those that need nothing but secrets; `HmacHeader` and `Token` make the others."""
