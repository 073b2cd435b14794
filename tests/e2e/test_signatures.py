"""Only what its sender signed gets through."""

import hmac
from pathlib import Path

from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess, conserved
from tests.support.relays import post, relay_section, running_relay, sender
from tests.support.waiting import eventually_async

SECRET = "It's a Secret to Everybody"
PUSH = b'{"ref": "refs/heads/main", "note": "\\u00e9 \xf0\x9f\x98\x80"}\n'


def signature(body: bytes) -> str:
    return f"sha256={hmac.new(SECRET.encode(), body, 'sha256').hexdigest()}"


async def test_a_signed_webhook_is_delivered_and_one_that_was_tampered_with_is_not(tmp_path: Path) -> None:
    async with (
        running_relay("github") as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port, "#", qos=1) as seen,
        sender() as session,
    ):
        routing = relay_section(relay) + (
            f'brokers: {{home: {{url: "mqtt://127.0.0.1:{broker.port}"}}}}\n'
            "verifiers: {gh: {scheme: github, secrets: [retired, '${GH_SECRET}']}}\n"
            "routes:\n"
            "  - {name: push, match: {bucket: github}, verify: gh, send: [{mqtt: ci/push}]}\n"
            "  - {name: any, match: {bucket: github}, send: [{mqtt: ci/any}]}\n"
        )
        async with BridgeProcess(tmp_path / "bridge", routing, GH_SECRET=SECRET) as bridge:
            url = relay.webhook_url("github")
            await post(session, url, PUSH.replace(b"main", b"evil"), X_Hub_Signature_256=signature(PUSH))
            await post(session, url, PUSH)
            await post(session, url, PUSH, X_Hub_Signature_256=signature(PUSH), X_GitHub_Delivery="d-1")
            await seen.wait(4)

            async def counted() -> bool:
                return bool((await bridge.ask("status"))["counters"]["webhooks"] == 3)

            await eventually_async(counted)
            status = await bridge.ask("status")
            assert await bridge.stop() == 0
        by_topic = [(message.topic, message.payload) for message in seen.messages]
        assert [payload for topic, payload in by_topic if topic == "ci/push"] == [PUSH]
        assert len(by_topic) == 4
    route = status["routes"]["push"]
    assert (route["matched"], route["rejected"]) == (1, 2)
    assert route["rejection"] == "missing-header: there is no header x-hub-signature-256"
    assert bridge.log_text().count("route push rejected") == 1
    assert SECRET not in bridge.log_text()
    conserved(status)
