"""The published vectors of senders' signatures, and what tests need to tamper with them."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from bridge.secret import Secret
from bridge.verify.schemes import SCHEMES, HmacHeader, Scheme, Token
from bridge.verify.verdict import Clock
from bridge.verify.verifier import Verifier
from bridge.webhook import Webhook
from tests.support.deliveries import webhook

BODY = '{"temp":21.5,"unit":"°C","note":"a<b & c"}'.encode()
BODY_SHA256 = "ebb7f1d5eeedb19d5d02b1365d898b09f7ad56ed82294de6288524f2fa044703"
RELAYBOX_KEY = "21d45d1d4dff46f13cd4478ba08395d9"
STANDARD = {
    "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "timestamp": "1614265330",
    "signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Vector:
    """A webhook that is genuine at `sent_at`."""

    scheme: str | Scheme
    secret: str
    body: bytes
    headers: dict[str, str] = field(hash=False)
    sent_at: float = 1_700_000_000.0
    body_is_signed: bool = True
    aged: bool = True
    """Whether it says a time; the published vectors of RelayBox don't."""

    @property
    def rules(self) -> Scheme:
        return SCHEMES[self.scheme] if isinstance(self.scheme, str) else self.scheme

    def verifier(self, *secrets: str, refuse_replays: bool = False) -> Verifier:
        """A verifier with the usual window; with other secrets, if given."""
        return Verifier(
            "gate",
            self.rules,
            [Secret(secret) for secret in secrets or (self.secret,)],
            window=self.rules.window if self.aged else None,
            refuse_replays=refuse_replays,
        )

    def webhook(self, **fields: object) -> Webhook:
        headers = {name: (value,) for name, value in self.headers.items()}
        return webhook(self.body, **({"headers": headers, "received_at": self.sent_at} | fields))

    def clock(self, later: float = 0.0) -> Clock:
        return Clock(self.sent_at + later, synchronised=True)

    def with_header(self, name: str, value: str) -> "Vector":
        return replace(self, headers=self.headers | {name: value})


def _github(secret: str, body: bytes, digest: str) -> Vector:
    return Vector("github", secret, body, {"x-hub-signature-256": f"sha256={digest}"})


def _stripe_header(time: int, digest: str) -> dict[str, str]:
    return {"stripe-signature": f"t={time},v1={digest}"}


def _standard(family: str) -> Vector:
    headers = {f"{family}-{name}": value for name, value in STANDARD.items()}
    return Vector("standard-webhooks", STANDARD_SECRET, b'{"test": 2432232314}', headers, 1_614_265_330.0)


def _relaybox(body: str, digest: str) -> Vector:
    headers = {"x-relaybox-webhook-signature": digest}
    return Vector("relaybox", RELAYBOX_KEY, body.encode(), headers, aged=False)


SLACK = {
    "x-slack-signature": "v0=08115fedc110e35bdc33efed732d0113ec2a53bae57884e8d35d8bf6b2f94b62",
    "x-slack-request-timestamp": "1700000000",
}
STRIPE_DIGEST = "2fcbb0be9d6de42f923577e2820a4d566389dc71c72c0c4c8906f66c160b2076"

VECTORS = {
    "github": _github("s3cr3t", BODY, BODY_SHA256),
    "github-documentation": _github(
        "It's a Secret to Everybody",
        b"Hello, World!",
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    ),
    "gitea": Vector("gitea", "s3cr3t", BODY, {"x-gitea-signature": BODY_SHA256}),
    "forgejo": Vector("forgejo", "s3cr3t", BODY, {"x-forgejo-signature": BODY_SHA256}),
    "gitlab": Vector("gitlab", "s3cr3t", BODY, {"x-gitlab-token": "s3cr3t"}, body_is_signed=False),
    "shopify": Vector(
        "shopify", "s3cr3t", BODY, {"x-shopify-hmac-sha256": "67fx1e7tsZ1dArE2XYmLCfetVu2CKU3mKIUk8voERwM="}
    ),
    "stripe": Vector("stripe", "whsec_test_secret", BODY, _stripe_header(1_700_000_000, STRIPE_DIGEST)),
    "slack": Vector("slack", "8f742231b10e8888abcd99yyyzzz85a5", BODY, SLACK),
    "standard-webhooks": _standard("webhook"),
    "svix": _standard("svix"),
    "relaybox": _relaybox(
        '{"b":1,"a":2}', "0e14c4afd3405471f8b25738d24772111232cd64be092a5927d54298877cc23a"
    ),
    "relaybox-key-order": _relaybox(
        r'{"\ufb33":1,"😀":2,"é":"ü"}', "ae923f81a074eca4ceaf390b132cdcb9b9e564bea803ac99568c872acb23cfd0"
    ),
    "relaybox-numbers": _relaybox(
        '{"n":1e21,"m":0.1,"z":-0,"t":1.0,"e":1e-7}',
        "150219465cd38d98128da775cf08bb5e9596fe6aa8f9c9cf1a0456a6ea2104d6",
    ),
    "hmac-like-slack": Vector(
        HmacHeader(
            header="X-Slack-Signature",
            prefix="v0=",
            signed="v0:{timestamp}:{body}",
            timestamp_header="X-Slack-Request-Timestamp",
        ),
        "8f742231b10e8888abcd99yyyzzz85a5",
        BODY,
        SLACK,
    ),
    "bearer": Vector(Token(), "s3cr3t", BODY, {"authorization": "Bearer s3cr3t"}, body_is_signed=False),
    "token": Vector(Token(header="X-Token"), "s3cr3t", BODY, {"x-token": "s3cr3t"}, body_is_signed=False),
}


def relaybox_at(timestamp: str) -> Vector:
    """A webhook of RelayBox that says when it was sent."""
    body = f'{{"id":"evt-1","timestamp":"{timestamp}"}}'
    quoted = '"' + body.replace('"', '\\"') + '"'
    signature = hmac.new(b"key", quoted.encode(), "sha256").hexdigest()
    return Vector("relaybox", "key", body.encode(), {"x-relaybox-webhook-signature": signature})


def one_bit_changes(original: bytes) -> Iterator[bytes]:
    """Every copy that differs in one bit."""
    for place, byte in enumerate(original):
        for bit in range(8):
            yield original[:place] + bytes([byte ^ 1 << bit]) + original[place + 1 :]
