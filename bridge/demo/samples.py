"""Sample webhooks, in the shape that the providers document, and where each must arrive."""

from dataclasses import dataclass

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Sample:
    """One webhook, and the MQTT topics and HTTP paths that it must reach."""

    title: str
    bucket: str
    body: str
    arrives: tuple[str, ...]
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


DOORBELL = Sample(
    "a doorbell rings",
    "doorbell",
    '{"event": "ring", "door": "front"}',
    ("mqtt home/doorbell/front/ring", "http /doorbell"),
)

SAMPLES = (
    DOORBELL,
    Sample(
        "GitHub says: a push",
        "github",
        '{"ref": "refs/heads/main", "repository": {"name": "bridge", "full_name": "you/bridge"},'
        ' "commits": [{"id": "a1"}, {"id": "b2"}]}',
        ("mqtt ci/bridge/push",),
        headers=(("X-GitHub-Event", "push"), ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")),
    ),
    Sample(
        "Slack: /light on",
        "slack",
        "command=%2Flight&text=on&user_name=you",
        ("mqtt home/light/set",),
        content_type=FORM,
    ),
    Sample(
        "a payment succeeded",
        "shop",
        '{"type": "charge.succeeded",'
        ' "data": {"object": {"id": "ch_3MmlLr", "amount": 1099, "currency": "eur"}}}',
        ("http /payments/ch_3MmlLr",),
    ),
)

BUCKETS = tuple(sample.bucket for sample in SAMPLES)
