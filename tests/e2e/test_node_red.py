"""The examples for Node-RED, in a real one: from a webhook at the relay to the flow's answer."""

import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio

from bridge.secret import Secret
from bridge.selfhosted.resources import ANY_OUTPUT, Bucket, Settings, Token
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.mosquitto import Broker, Collector
from tests.support.node_red import Flow, NodeRed
from tests.support.process import BridgeProcess, conserved
from tests.support.relays import KEY, SECRET
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

PALETTE = Path(__file__).parents[2] / "examples" / "node-red"
LIBRARY = "/library/examples/flows/"
NAMES = sorted(path.stem for path in (PALETTE / "examples").glob("*.json"))
TOKEN = "t0ken"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Home:
    """What runs in a house that has Node-RED, and the relay outside of it."""

    relay: SelfHostedRelay
    broker: Broker
    node_red: NodeRed
    session: aiohttp.ClientSession
    folder: Path

    def bridge(self, example: str, **changes: str) -> BridgeProcess:
        """The bridge, with an example's routing file in which nothing but addresses is changed."""
        routing = (PALETTE / f"{example}.yaml").read_text()
        addresses = {
            "relay:\n": f"node: pi\nrelay:\n  url: {self.relay.socket_url}\n",
            "mqtt://127.0.0.1:1883": f"mqtt://127.0.0.1:{self.broker.port}",
            "http://127.0.0.1:1880": self.node_red.url,
        }
        for written, real in (addresses | changes).items():
            routing = routing.replace(written, real)
        return BridgeProcess(
            self.folder / example,
            routing,
            RELAY_KEY=KEY,
            RELAY_SECRET=SECRET,
            NODERED_TOKEN=TOKEN,
            SLACK_SIGNING_SECRET=SIGNING_SECRET,
        )

    async def post(
        self, bucket: str, body: object, content_type: str = "application/json", **headers: str
    ) -> tuple[int, Any]:
        """Send a webhook; status and JSON of the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url, named = self.relay.webhook_url(bucket), named | {"Content-Type": content_type}
        async with self.session.post(url, data=data, headers=named) as response:
            said = await response.text()
            return response.status, json.loads(said) if "json" in response.content_type else said


def waiting(name: str, timeout: float = 9.5) -> Bucket:
    """A bucket whose senders wait so many seconds for an answer, and get 504 where there is none."""
    bucket = Bucket.named(name)
    asked = replace(bucket.inputs[0], response_from_output=ANY_OUTPUT, status=504, timeout=timeout)
    return replace(bucket, inputs=(asked,))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    buckets = (Bucket.named("doorbell"), waiting("orders"), waiting("slack", 3.0), waiting("nodered"))
    relay = SelfHostedRelay(Settings((Token(KEY, Secret(SECRET)),), buckets), host="127.0.0.1", port=0)
    async with (
        closing(relay),
        Broker(folder, "log_type all") as broker,
        NodeRed(folder, PALETTE, NODERED_TOKEN=TOKEN) as node_red,
        aiohttp.ClientSession() as session,
    ):
        for name in NAMES:
            flow = await node_red.ask(f"{LIBRARY}@relay-bridge/node-red-examples/{name}")
            await node_red.add(with_broker(flow, broker))
            await eventually(partial(subscribed, broker, flow))
        yield Home(relay, broker, node_red, session, folder)


@asynccontextmanager
async def closing(relay: SelfHostedRelay) -> AsyncIterator[None]:
    await relay.start()
    try:
        yield
    finally:
        await relay.close()


def with_broker(flow: Flow, broker: Broker) -> Flow:
    """As a user edits the broker node after the import."""
    return [node | {"port": str(broker.port)} if node["type"] == "mqtt-broker" else node for node in flow]


def subscribed(broker: Broker, flow: Flow) -> bool:
    filters = [node["topic"] for node in flow if node["type"] == "mqtt in"]
    return all(f"node-red-webhooks 1 {topic}" in broker.log for topic in filters)


async def test_the_import_dialog_lists_every_example(home: Home) -> None:
    assert "@relay-bridge/node-red-examples" in await home.node_red.ask(LIBRARY)
    listed = await home.node_red.ask(f"{LIBRARY}@relay-bridge/node-red-examples")
    assert [entry["fn"] for entry in listed] == NAMES
    assert len(NAMES) == 5


async def test_a_webhook_by_mqtt_reaches_the_flow(home: Home) -> None:
    async with (
        Collector(home.broker.port, "home/hall/display") as display,
        home.bridge("webhook-by-mqtt") as bridge,
    ):
        await home.post("doorbell", {"event": "ring", "door": "front"})
        (shown,) = await display.wait(1)
        assert await bridge.stop() == 0
    assert json.loads(shown.payload)["text"] == "Somebody is at the front door"
    assert len(json.loads(shown.payload)["webhook"]) == 36
    assert (shown.qos, shown.retain, shown.user) == (1, False, ())


async def test_a_restart_of_node_red_loses_nothing(home: Home) -> None:
    async with (
        Collector(home.broker.port, "home/hall/display") as display,
        home.bridge("webhook-by-mqtt") as bridge,
    ):

        async def ring(first: int, last: int) -> None:
            for door in range(first, last):
                await home.post("doorbell", {"event": "ring", "door": str(door)})

        await ring(0, 10)
        await display.wait(10)
        await home.node_red.stop()
        await ring(10, 30)
        await home.node_red.start()
        await ring(30, 40)
        shown = await display.wait(40, 20)
        conserved(await bridge.ask("status"))
        assert await bridge.stop() == 0
    texts = [json.loads(message.payload)["text"] for message in shown]
    assert texts == [f"Somebody is at the {door} door" for door in range(40)]


async def test_a_webhook_by_http_is_answered_by_the_flow(home: Home) -> None:
    async with home.bridge("webhook-by-http") as bridge:
        assert await home.post("orders", {"order": 7}) == (200, {"order": 7, "is": "taken"})
        assert await home.post("orders", b"order=8", FORM) == (200, {"is": "taken"})
        assert await bridge.stop() == 0


async def test_nobody_else_gets_past_the_token(home: Home) -> None:
    changed = {"Bearer ${NODERED_TOKEN}": "Bearer wr0ng", "timeout: 5s": "timeout: 200ms"}
    async with home.bridge("webhook-by-http", **changed) as bridge:
        assert await home.post("orders", {"order": 7}) == (202, "")
        nodered = (await bridge.ask("status"))["targets"]["http:nodered"]
        assert (nodered["delivered"], nodered["pending"], nodered["state"]) == (0, 1, "refused")
        assert "401" in nodered["reason"]
        assert await bridge.stop() == 0


async def test_what_node_red_can_not_parse(home: Home) -> None:
    """Why the examples send an envelope, and what its limit is."""
    url = f"{home.node_red.url}/webhooks/orders"
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with home.session.post(
        url, data=BytesIO(b'"%s"' % (b"x" * 5_300_000)), headers=headers
    ) as response:
        assert response.status == 413
    headers["Content-Type"] = "application/vnd.api+json"
    async with home.session.post(url, data=b'{"body": {"order": 7}}', headers=headers) as response:
        assert "order" not in await response.json(content_type=None)


async def test_a_slash_command_is_answered_by_mqtt(home: Home) -> None:
    async with Collector(home.broker.port, "home/light/#") as light, home.bridge("slash-command") as bridge:
        assert await slash(home, "on") == says("The light is on, eve.")
        assert await slash(home, "purple") == says('I know on and off, but not "purple".')
        assert (await slash(home, "off", secret="wr0ng"))[0] == 504
        await light.wait(1)
        assert await bridge.stop() == 0
    assert [(message.topic, message.payload) for message in light.messages] == [("home/light/set", b"ON")]


def says(text: str) -> tuple[int, Any]:
    return 200, {"response_type": "ephemeral", "text": text}


async def slash(home: Home, text: str, secret: str = SIGNING_SECRET) -> tuple[int, Any]:
    body = urlencode({"command": "/light", "text": text, "user_name": "eve"}).encode()
    now = str(int(time.time()))
    digest = hmac.digest(secret.encode(), b"v0:%s:%s" % (now.encode(), body), "sha256").hex()
    headers = {"X_Slack_Request_Timestamp": now, "X_Slack_Signature": f"v0={digest}"}
    return await home.post("slack", body, FORM, **headers)


async def test_a_flow_of_the_webhookrelay_node_goes_on(home: Home) -> None:
    push = {"repository": {"name": "bridge"}}
    async with home.bridge("from-webhookrelay-node") as bridge:
        answer = await home.post("nodered", push, X_GitHub_Event="push")
        assert await bridge.stop() == 0
    assert answer == (201, "push of bridge came by nodered")


async def test_what_is_wrong_with_a_bridge_is_told(home: Home) -> None:
    async with Collector(home.broker.port, "home/notify") as told:
        async with home.bridge("bridge-status") as bridge:
            await home.post("doorbell", {"event": "ring"})
            await told.wait(1)
            assert b"pi: a webhook of doorbell did not reach mqtt:home: " in told.payloads[0]
            assert await bridge.stop() == 0
        await told.wait(2)
        assert told.payloads[1] == b"pi: offline"
        async with home.bridge("bridge-status") as bridge:
            await told.wait(3)
            assert told.payloads[2] == b"pi: online"
            bridge.file.write_text("routes: 5")
            await told.wait(4)
            assert told.payloads[3] == b"pi: the routing file was rejected"
            assert await bridge.stop() == 0
