"""Every example payload that GitHub publishes, signed by GitHub's own library, through the relay's frame."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.relay.frames import decode_frame
from bridge.secret import Secret
from bridge.verify.replay import ReplayCache
from bridge.verify.schemes import SCHEMES
from bridge.verify.verdict import Clock, Rejected, Verified
from bridge.verify.verifier import Verifier
from bridge.webhook import Webhook
from tests.support.npm import installed, node

PACKAGES = ("@octokit/webhooks-examples@7.6.1", "@octokit/webhooks-methods@6.0.0")
SECRET = "It's a Secret to Everybody"
CLOCK = Clock(1_700_000_000.0, synchronised=True)

# Frames as the relay sends them, one in a line; the body is what GitHub sends: JSON text, and a form of it.
FRAMES = """
import {createRequire} from 'node:module';
import {sign} from '@octokit/webhooks-methods';
const examples = createRequire(process.cwd() + '/')('@octokit/webhooks-examples');
for (const {name, examples: payloads} of examples.default ?? examples) {
    for (const [index, payload] of payloads.entries()) {
        const text = JSON.stringify(payload);
        for (const body of [text, JSON.stringify(payload, null, 2), 'payload=' + encodeURIComponent(text)]) {
            console.log(JSON.stringify({
                type: 'webhook',
                meta: {id: `${name}-${index}`, bucked_id: 'b', bucket_name: 'github'},
                headers: {
                    'X-Hub-Signature-256': [await sign(process.env.SECRET, body)],
                    'X-Github-Event': [name],
                    'X-Github-Delivery': [`${name}-${index}`],
                },
                query: '', method: 'POST', body,
            }));
        }
    }
}
"""


@pytest.fixture(scope="module")
def webhooks() -> list[Webhook]:
    script = f"process.env.SECRET = {json.dumps(SECRET)};{FRAMES}"
    lines = node(script, folder=installed(*PACKAGES)).decode().splitlines()
    return list(decoded(lines))


def decoded(lines: list[str]) -> Iterator[Webhook]:
    for line in lines:
        webhook = decode_frame(line, 1_700_000_000.0)
        assert isinstance(webhook, Webhook)
        yield webhook


def verifier(secret: str) -> Verifier:
    return Verifier("gh", SCHEMES["github"], [Secret(secret)], window=None, refuse_replays=False)


def changed(webhook: Webhook, **fields: Any) -> Webhook:
    names = [name for name in Webhook.__dataclass_fields__ if not name.startswith("_")]
    return Webhook(**({name: getattr(webhook, name) for name in names} | fields))


def test_all_of_them_are_verified_and_no_change_of_one_byte_is(webhooks: list[Webhook]) -> None:
    assert len(webhooks) > 3 * 250
    assert len({webhook.header("x-github-event") for webhook in webhooks}) > 50
    right, wrong = verifier(SECRET), verifier(SECRET + "!")
    for place, webhook in enumerate(webhooks):
        verdict = right.verify(webhook, CLOCK, ReplayCache())
        assert verdict == Verified(webhook.header("x-github-delivery"))
        byte = place * 7919 % len(webhook.raw)
        body = bytearray(webhook.raw)
        body[byte] ^= 1 << place % 8
        for forged, judge in [
            (changed(webhook, raw=bytes(body)), right),
            (changed(webhook, raw=webhook.raw[:-1]), right),
            (changed(webhook, raw=webhook.raw + b"\n"), right),
            (webhook, wrong),
        ]:
            refused = judge.verify(forged, CLOCK, ReplayCache())
            assert isinstance(refused, Rejected)
            assert refused.code == "bad-signature"
