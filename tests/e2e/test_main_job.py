"""The main job: webhooks posted at a relay arrive at MQTT and HTTP, each once, in order."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import aiohttp

from bridge.selfhosted.server import SelfHostedRelay
from tests.support.http import recording_server
from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess, conserved
from tests.support.relays import post, relay_section, running_relay, sender
from tests.support.waiting import eventually, eventually_async

BUCKETS = ("doorbell", "meter", "shop")
SENDERS = 24
WEBHOOKS = 10_000

ROUTING = """
brokers: {{home: {{url: "mqtt://127.0.0.1:{broker}"}}}}
services: {{shop: {{url: "{service}", max_in_flight: 20}}}}
routes:
  - name: ring
    match: {{bucket: doorbell}}
    order: "{{{{ body.sender }}}}"
    send: [{{mqtt: "home/ring/{{{{ body.sender }}}}"}}]
  - name: ring-late
    match: {{bucket: doorbell, body.n: {{gte: 1}}}}
    send: [{{mqtt: home/all-rings}}]
  - name: power
    match: {{bucket: meter, query.unit: w}}
    order: "{{{{ body.sender }}}}"
    send:
      - mqtt: "meter/{{{{ body.sender }}}}"
        payload: {{n: "{{{{ body.n }}}}", sender: "{{{{ body.sender }}}}"}}
  - name: never
    match: {{bucket: meter, method: DELETE}}
    send: [{{mqtt: meter/never}}]
  - name: order
    match: {{bucket: shop, header.x-shop: [blue, red]}}
    order: "{{{{ body.sender }}}}"
    send:
      - http: "/orders/{{{{ body.sender }}}}"
        service: shop
  - name: order-note
    match: {{bucket: shop}}
    send: [{{mqtt: shop/orders}}]
"""


def body_of(sender_number: int, n: int) -> bytes:
    """A body that no re-encoding would leave as it is: spacing, an escape, a character beyond the BMP."""
    return f'{{"sender":  "s{sender_number}", "n": {n}, "note": "\\u00e9 😀 <&>"}}\n'.encode()


async def send_all(relay: SelfHostedRelay, session: aiohttp.ClientSession) -> None:
    async def one_sender(number: int) -> None:
        bucket = BUCKETS[number % len(BUCKETS)]
        url = relay.webhook_url(bucket) + "?unit=w"
        for n in range(number, WEBHOOKS, SENDERS):
            assert await post(session, url, body_of(number, n), x_shop="red") == 200

    await asyncio.gather(*(one_sender(number) for number in range(SENDERS)))


def expected(bucket: str) -> set[bytes]:
    index = BUCKETS.index(bucket)
    return {body_of(n % SENDERS, n) for n in range(WEBHOOKS) if (n % SENDERS) % len(BUCKETS) == index}


def assert_in_order(bodies: Iterable[bytes]) -> None:
    """Each sender waited for the relay's answer, so its webhooks have an order."""
    last: dict[str, int] = defaultdict(lambda: -1)
    for body in bodies:
        fields = json.loads(body)
        assert fields["n"] > last[fields["sender"]], "out of order, or twice"
        last[fields["sender"]] = fields["n"]


async def test_ten_thousand_webhooks_arrive_once_in_order_and_byte_for_byte(tmp_path: Path) -> None:
    async with (
        running_relay(*BUCKETS) as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port, "#", qos=1) as seen,
        recording_server() as service,
        sender() as session,
    ):
        routing = relay_section(relay) + ROUTING.format(broker=broker.port, service=service.url)
        async with BridgeProcess(tmp_path / "bridge", routing) as bridge:
            await send_all(relay, session)
            doorbell, meter, shop = (expected(bucket) for bucket in BUCKETS)
            # One webhook of the doorbell has n = 0, which the second route does not want.
            on_mqtt = 2 * len(doorbell) - 1 + len(meter) + len(shop)
            await seen.wait(on_mqtt, 60)
            await eventually(lambda: len(service.requests) >= len(shop), 60)

            async def settled() -> bool:
                status = await bridge.ask("status")
                return all(target["pending"] == 0 for target in status["targets"].values())

            await eventually_async(settled)
            status = await bridge.ask("status")
            assert await bridge.stop() == 0

    by_topic: dict[str, list[bytes]] = defaultdict(list)
    for message in seen.messages:
        topic = message.topic.rpartition("/")[0] if "/s" in message.topic else message.topic
        by_topic[topic].append(message.payload)
    assert len(seen.messages) == on_mqtt
    assert sorted(by_topic["home/ring"]) == sorted(doorbell)
    assert len(by_topic["home/all-rings"]) == len(doorbell) - 1
    assert sorted(by_topic["shop/orders"]) == sorted(shop)
    assert sorted(request.body for request in service.requests) == sorted(shop)
    assert {json.loads(payload)["n"] for payload in by_topic["meter"]} == {json.loads(b)["n"] for b in meter}
    for bodies in (*by_topic.values(), [request.body for request in service.requests]):
        assert_in_order(bodies)
    assert status["counters"]["webhooks"] == WEBHOOKS
    assert status["counters"]["unmatched"] == 0
    conserved(status)
