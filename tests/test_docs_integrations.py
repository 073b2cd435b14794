"""The pages on MQTT, Node-RED and Mosquitto: what they show is what happens, with a real broker."""

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.config.loader import load
from bridge.config.model import BrokerSettings, StatusSettings
from bridge.home.cleanup import clean_up
from bridge.home.place import Place
from bridge.home.publisher import Publisher
from bridge.message import DELIVERED, Delivered, Failure
from bridge.secret import Secret
from bridge.trial import run_cases
from tests.support.mosquitto import HOST, Broker, Collector, free_port
from tests.support.mqtt import feeding, publication
from tests.support.process import BridgeProcess
from tests.support.relay import KEY, SECRET, ScriptedRelay, a_webhook, scripted_relay
from tests.support.tls import make_certificates
from tests.support.waiting import eventually, eventually_async

ROOT = Path(__file__).parent.parent
MQTT, NODE_RED, MOSQUITTO = (
    (ROOT / "docs" / f"{name}.md").read_text() for name in ("mqtt", "node-red", "mosquitto")
)
EXAMPLES = ROOT / "examples" / "node-red"
CORE = {
    *("tab", "comment", "catch", "debug", "function", "change"),
    *("mqtt-broker", "mqtt in", "mqtt out", "http in", "http response"),
}
FLOWS = sorted((EXAMPLES / "examples").glob("*.json"))
PASSWORD = "pa55word"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def rows(page: str, head: str) -> list[list[str]]:
    """The cells of the table whose first line starts so; code marks are taken off."""
    (table,) = re.findall(rf"^\| {re.escape(head)}.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    return [[cell.strip().strip("`") for cell in row.strip("| ").split("|")] for row in table.splitlines()]


def with_secrets(text: str) -> dict[str, str]:
    return dict.fromkeys(re.findall(r"\$\{([A-Z_]+)\}", text), "s3cret")


@pytest.mark.parametrize("page", [MQTT, NODE_RED, MOSQUITTO], ids=["mqtt", "node-red", "mosquitto"])
def test_every_link_leads_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)]*)\)", page):
        path = ROOT / "docs" / target
        assert path.exists(), target
        linked = path.read_text() if target else page
        assert not anchor or anchor in headings(linked), f"{target}#{anchor}"


def headings(page: str) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


# docs/mqtt.md


async def test_the_webhook_of_the_mqtt_page_arrives_as_it_says(tmp_path: Path) -> None:
    routing = blocks(MQTT, "yaml")[0]
    body = re.search(r"For a `POST` of `(.*)`", MQTT)
    assert body
    async with (
        Broker(tmp_path) as broker,
        Collector(broker.port) as seen,
        scripted_relay() as relay,
    ):
        routing = with_relay(routing, relay).replace("127.0.0.1:1883", f"127.0.0.1:{broker.port}")
        async with BridgeProcess(tmp_path / "bridge", routing, MQTT_PASSWORD=PASSWORD) as bridge:
            await relay.send(a_webhook(1, body=body[1]))
            messages = {message.topic: message for message in await seen.wait(4)}
            assert await bridge.stop() == 0
    ring, battery, envelope, old = (
        messages[topic]
        for topic in (
            "home/doorbell/front/ring",
            "home/doorbell/front/battery",
            "archive/doorbell",
            "old-flows/doorbell",
        )
    )
    assert (ring.payload, ring.content_type, ring.retain, ring.qos) == (
        body[1].encode(),
        "application/json",
        False,
        1,
    )
    assert ring.expiry in range(590, 601)
    assert (battery.payload, battery.content_type, battery.expiry) == (
        b'{"percent":80}',
        "application/json",
        None,
    )
    shown = json.loads(blocks(MQTT, "json")[0])
    came = json.loads(envelope.payload)
    assert came | {"received_at": shown["received_at"]} == shown
    assert list(came) == list(shown)
    assert json.loads(old.payload)["type"] == "webhook"
    documented = [name for (name, _) in rows(MQTT, "property") if name.startswith("user property")]
    assert documented == [f"user property `{name}" for name, _ in ring.user] + ["user property `late"]


# docs/mosquitto.md


@asynccontextmanager
async def documented_broker(folder: Path, changes: dict[str, str] | None = None) -> AsyncIterator[Broker]:
    """A broker with the page's first snippet, its files and its users, and one who may do anything."""
    passwords, acl = folder / "passwords", folder / "acl"
    users = re.findall(r"^mosquitto_passwd .* (\w+)$", MOSQUITTO, re.MULTILINE)
    for number, user in enumerate([*users, "anybody"]):
        create = ["-c"] if number == 0 else []
        command = ["mosquitto_passwd", "-b", *create, str(passwords), user, PASSWORD]
        await asyncio.to_thread(subprocess.run, command, check=True, env=with_sbin())
    acl.write_text(blocks(MOSQUITTO, "acl")[0] + "\nuser anybody\ntopic readwrite #\n")
    addresses = {"/etc/mosquitto/": f"{folder}/", "listener 1883": f"listener {free_port()}"}
    lines = lines_of(0, addresses | (changes or {}))
    async with Broker(folder, *lines) as broker:
        yield broker


def lines_of(number: int, changes: dict[str, str]) -> list[str]:
    text = blocks(MOSQUITTO, "conf")[number]
    for written, real in changes.items():
        assert written in text
        text = text.replace(written, real)
    return [line for line in text.splitlines() if line]


def with_sbin() -> dict[str, str]:
    return os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"}


async def test_the_acl_allows_what_the_page_says(tmp_path: Path) -> None:
    async with documented_broker(tmp_path) as broker:
        for user, does, topic, allowed in rows(MOSQUITTO, "who"):
            may = may_publish if does == "publish" else may_receive
            assert await may(broker, user, topic) is (allowed == "yes"), (user, does, topic)


async def test_the_acl_allows_status_discovery_and_cleanup(tmp_path: Path) -> None:
    status = StatusSettings("home", "relay-bridge/pi", discovery="homeassistant", commands=True)
    async with documented_broker(tmp_path) as broker:
        own = BrokerSettings("home", port=broker.port, username="bridge", password=Secret(PASSWORD))
        place = Place("pi", status, own)
        publisher = Publisher(own, place.client_id, lambda *_: None, filters={})
        for topic in place.retained:
            publisher.retain(topic, b"{}")
        publisher.start()
        assert await publisher.settled(10)
        await publisher.close()
        assert (await clean_up(place, 10)).topics == sorted(place.retained)


async def may_publish(broker: Broker, user: str, topic: str) -> bool:
    own: dict[str, Any] = {"username": user, "password": Secret(PASSWORD)}
    async with feeding(broker.port, **own) as feeder:
        (result,) = await feeder.deliver(publication(1, topic))
    assert not isinstance(result, Failure) or result.code == "mqtt-0x87"
    return not isinstance(result, Failure)


async def may_receive(broker: Broker, user: str, topic: str) -> bool:
    """A message that nothing forbids follows on the heels of the one in question."""
    fence = {"bridge": "relay-bridge/pi/reply/fence", "nodered": "webhooks/fence"}[user]
    own: dict[str, Any] = {"username": "anybody", "password": Secret(PASSWORD)}
    async with (
        Collector(broker.port, "#", username=user, password=PASSWORD) as seen,
        feeding(broker.port, **own) as feeder,
    ):
        await feeder.deliver(publication(1, topic), publication(2, fence))
        await eventually(lambda: fence in [message.topic for message in seen.messages])
    return [message.topic for message in seen.messages] == [topic, fence]


async def test_the_limit_for_a_message_is_what_the_page_says(tmp_path: Path) -> None:
    async with documented_broker(tmp_path) as broker:
        own: dict[str, Any] = {"username": "bridge", "password": Secret(PASSWORD)}
        async with feeding(broker.port, **own) as feeder:
            large = [publication(1, "webhooks/x", b"x" * size) for size in (19_999_000, 20_000_000)]
            taken, refused = [(await feeder.deliver(each))[0] for each in large]
            assert isinstance(taken, Delivered)
            assert isinstance(refused, Failure)
            assert refused.code == "too-large"
            assert feeder.target.counters.connections == 1


@pytest.mark.parametrize(("seconds", "kept"), [(1, True), (1800, False)])
async def test_what_a_power_cut_takes_from_the_broker(tmp_path: Path, seconds: int, kept: bool) -> None:
    saved = {"autosave_interval 60": f"autosave_interval {seconds}"}
    async with documented_broker(tmp_path, saved) as broker:
        own: dict[str, Any] = {"username": "bridge", "password": Secret(PASSWORD)}
        async with feeding(broker.port, **own) as feeder:
            await feeder.deliver(publication(1, "webhooks/state", b"on", retain=True))
        database = broker.folder / "mosquitto.db"
        if kept:
            await eventually(lambda: database.exists() and b"webhooks/state" in database.read_bytes())
        await broker.stop(signal.SIGKILL)
        await broker.start()
        async with feeding(broker.port, **own) as feeder:
            await feeder.deliver(publication(2, "webhooks/zzz", b"fence", retain=True))
        async with Collector(broker.port, "webhooks/#", username="nodered", password=PASSWORD) as seen:
            await eventually(lambda: b"fence" in seen.payloads)
    assert (b"on" in seen.payloads) is kept


async def test_what_waits_for_one_that_is_away_is_limited(tmp_path: Path) -> None:
    async with documented_broker(tmp_path, {"max_queued_messages 10000": "max_queued_messages 10"}) as broker:
        assert await asyncio.to_thread(visit, broker.port, 0) == []
        own: dict[str, Any] = {"username": "bridge", "password": Secret(PASSWORD)}
        async with feeding(broker.port, **own) as feeder:
            results = await feeder.deliver(*(publication(n, "webhooks/x") for n in range(30)))
            assert set(results) == {DELIVERED}, "the broker says nothing of what it drops"
            assert await asyncio.to_thread(visit, broker.port, 10) == list(range(10))
            await feeder.deliver(publication(30, "webhooks/x"))
        assert await asyncio.to_thread(visit, broker.port, 1) == [30]


def visit(port: int, count: int) -> list[int]:
    """What waits in one subscriber's session, up to a count of messages; then it goes away again."""
    came: list[int] = []
    subscribed: list[int] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, "away", protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set("nodered", PASSWORD)
    client.on_message = lambda _client, _data, message: came.append(int(message.payload))
    client.on_subscribe = lambda _client, _data, mid, *_: subscribed.append(mid)
    client.on_connect = lambda client, *_: client.subscribe("webhooks/#", 1)
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it so
    session.SessionExpiryInterval = 3600
    client.connect(HOST, port, clean_start=False, properties=session)
    deadline = time.monotonic() + 10
    while (len(came) < count or not subscribed) and time.monotonic() < deadline:
        client.loop(0.1)
    client.disconnect()
    return came


async def test_the_client_certificate_of_the_page_is_taken(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    port = free_port()
    lines = lines_of(1, {"/etc/mosquitto/certs/": f"{tmp_path}/", "listener 8883": f"listener {port}"})
    (routing,) = blocks(MOSQUITTO, "yaml fragment")
    async with Broker(tmp_path, *lines), scripted_relay() as relay:
        routing = with_relay(routing, relay).replace("localhost:8883", f"localhost:{port}")
        async with BridgeProcess(tmp_path, routing) as bridge:
            await relay.send(a_webhook(1))
            await eventually_async(lambda: delivered(bridge))
            assert await bridge.stop() == 0


async def delivered(bridge: BridgeProcess) -> bool:
    home = (await bridge.ask("status"))["targets"]["mqtt:home"]
    return (home["state"], home["delivered"]) == ("up", 1)


def with_relay(routing: str, relay: ScriptedRelay) -> str:
    written = '{api_key: "${RELAY_API_KEY}"}'
    assert written in routing
    return routing.replace(written, f"{{url: '{relay.url}', key: {KEY}, secret: {SECRET}}}")


# docs/node-red.md and the examples


def test_the_page_lists_every_example() -> None:
    listed = re.findall(
        r"^\| \[([\w-]+)\]\(\.\./examples/node-red/examples/\1\.json\)", NODE_RED, re.MULTILINE
    )
    assert sorted(listed) == [path.stem for path in FLOWS]
    assert len(FLOWS) == 5
    assert sorted(path.stem for path in EXAMPLES.glob("*.yaml")) == sorted(listed)


def test_the_palette_has_examples_only() -> None:
    package = json.loads((EXAMPLES / "package.json").read_text())
    assert package["node-red"]["nodes"] == {}
    assert package["name"] in (ROOT / "tests/e2e/test_node_red.py").read_text()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_routing_file_is_free_of_problems_and_passes_its_tests(path: Path) -> None:
    loaded = load(path, environment=with_secrets(path.read_text()))
    assert loaded.config is not None, loaded.report()
    assert loaded.problems == (), loaded.report()
    trials = run_cases(loaded.config)
    assert len(trials) >= 2
    assert [(trial.case.name, trial.complaints) for trial in trials if trial.complaints] == []


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_each_flow_is_whole_and_of_core_nodes(path: Path) -> None:
    flow = json.loads(path.read_text())
    names = {node["id"] for node in flow}
    assert len(names) == len(flow)
    assert {node["type"] for node in flow} <= CORE
    assert [node["type"] for node in flow].count("tab") == 1
    (comment,) = [node["info"] for node in flow if node["type"] == "comment"]
    assert f"{path.stem}.yaml" in comment
    for node in flow:
        assert {target for output in node.get("wires", []) for target in output} <= names
        assert node["type"] != "mqtt in" or node["qos"] == "1"


def test_the_broker_nodes_are_one_and_as_the_page_says() -> None:
    nodes = [node for path in FLOWS for node in json.loads(path.read_text()) if node["type"] == "mqtt-broker"]
    assert len(nodes) == 4
    assert all(node == nodes[0] for node in nodes)
    assert {field: value for field, value, _ in rows(NODE_RED, "field")} == {
        "Protocol": {"4": "MQTT V3.1.1", "5": "MQTT V5"}[nodes[0]["protocolVersion"]],
        "Client ID": nodes[0]["clientid"],
        "Use clean start": "yes" if nodes[0]["cleansession"] else "no",
        "Session Expiry (secs)": nodes[0]["sessionExpiry"],
        "Automatically unsubscribe when disconnecting": "yes" if nodes[0]["autoUnsubscribe"] else "no",
    }
