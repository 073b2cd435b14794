"""Every example payload that GitHub publishes, signed by GitHub's own library, through the relay's frame."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from bridge.message import MqttMessage
from bridge.relay.frames import decode_frame
from bridge.routing.table import Plan
from bridge.secret import Secret
from bridge.verify.replay import ReplayCache
from bridge.verify.schemes import SCHEMES
from bridge.verify.verdict import Clock, Rejected, Verified
from bridge.verify.verifier import Verifier
from bridge.webhook import Webhook
from tests.support.npm import installed, node
from tests.support.routing_files import config_of

PACKAGES = ("@octokit/webhooks-examples@7.6.1", "@octokit/webhooks-methods@6.0.0")
SECRET = "It's a Secret to Everybody"
CLOCK = Clock(1_700_000_000.0, synchronised=True)

# Frames as the relay sends them, one in a line; the body is what GitHub sends: JSON text, and a form of it.
FRAMES = """
import {createRequire} from 'node:module';
import {sign} from '@octokit/webhooks-methods';
const FORM = 'application/x-www-form-urlencoded';
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
                    'Content-Type': [body.startsWith('{') ? 'application/json' : FORM],
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


ROUTES = """
relay: {key: a, secret: b}
services: {ci: {url: "http://127.0.0.1:1880/ci"}}
routes:
  - name: by-repository
    match:
      bucket: github
      header.x-github-event: {regex: "^[a-z0-9_]{2,60}$"}
      any:
        - body.repository.id: {gt: 0}
        - body.organization.login: {exists: true}
        - body.sender.login: {startswith: "", contains: ""}
        - body.security_advisory.ghsa_id: {startswith: GHSA-}
        - form.payload: {startswith: "{"}
      not: {body.action: {glob: "[!a-z]*"}}
    when: "{{ body.action is not defined or body.action | length > 0 }}"
    dedupe: "{{ header['x-github-delivery'] }}"
    order: "{{ (body.repository | default({})).full_name | default('none') }}"
    send:
      - mqtt: >-
          github/{{ (body.repository | default({})).full_name | default('none') }}/{{
          header['x-github-event'] }}
        payload:
          whole: "{{ body }}"
          action: "{{ body.action | default(none) }}"
          sender: "{{ (body.sender | default({})).login | default('nobody') | upper }}"
          keys: "{{ body | length }}"
          commits: "{% for one in body.commits | default([]) %}{{ one.message }};{% endfor %}"
      - http: "/{{ header['x-github-event'] }}?who={{ (body.sender | default({})).login | default('') }}"
        service: ci
        headers: {X-Title: "{{ (body.issue | default({})).title | default('none') }}"}
        format: envelope
    reply: {body: {got: "{{ body.action | default('none') }}", at: "{{ received_at }}"}}
  - name: as-it-came
    send: [{mqtt: raw, format: webhookrelay}, {mqtt: text, payload: "{{ raw }}"}]
"""
SENT = 4
"""Messages for each webhook."""


def test_all_of_them_go_through_conditions_templates_and_payloads(webhooks: list[Webhook]) -> None:
    table = config_of(ROUTES).table
    for webhook in webhooks:
        routed = table.route(webhook)
        assert (routed.matched, routed.failures) == (("by-repository", "as-it-came"), ())
        assert [str(plan.error) for plan in routed.plans if plan.error is not None] == []
        assert len(routed.plans) == SENT
        mapped, enveloped, relayed, text = (carried(plan) for plan in routed.plans)
        assert json.loads(mapped)["whole"] == parsed(webhook)
        assert json.loads(enveloped)["id"] == webhook.id
        assert json.loads(relayed)["meta"]["id"] == webhook.id
        assert text == webhook.raw
        topic = routed.plans[0].message
        assert isinstance(topic, MqttMessage)
        assert topic.topic.count("/") == 2, "a name of a repository is one level, whatever it holds"


def carried(plan: Plan) -> bytes:
    message = plan.message
    body = message.payload if isinstance(message, MqttMessage) else message.body if message else None
    assert body is not None
    return body


def parsed(webhook: Webhook) -> Any:
    """The body as a template sees it: JSON, or the fields of a form, which has one."""
    try:
        return json.loads(webhook.raw)
    except json.JSONDecodeError:
        return {"payload": parse_qs(webhook.text)["payload"][0]}
