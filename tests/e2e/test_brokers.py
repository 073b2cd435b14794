"""Mosquitto as people set it up, through a routing file: ACLs, restarts, old clients, TLS and WebSockets."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import run
from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess, conserved
from tests.support.relay import KEY, SECRET, ScriptedRelay, a_webhook, scripted_relay
from tests.support.tls import Certificates, make_certificates
from tests.support.waiting import eventually_async


@asynccontextmanager
async def bridged(
    folder: Path, broker: str, *, retain: bool = False, route: str = ""
) -> AsyncIterator[tuple[BridgeProcess, ScriptedRelay]]:
    """A bridge with one broker and one route, and what else these say, as in a flow mapping."""
    item = "{mqtt: 'home/{{ body.door }}'" + f", retain: {json.dumps(retain)}}}"
    async with scripted_relay() as relay:
        routing = (
            f"relay: {{url: '{relay.url}', key: {KEY}, secret: {SECRET}}}\nconsole: off\n"
            f"brokers: {{home: {{{broker}}}}}\n"
            f"routes: [{{name: door, match: {{bucket: doorbell}}, send: [{item}]{route}}}]\n"
        )
        async with BridgeProcess(folder / "bridge", routing) as bridge:
            yield bridge, relay


def plain(broker: Broker) -> str:
    return f"url: 'mqtt://127.0.0.1:{broker.port}'"


async def home_when(bridge: BridgeProcess, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The broker's part of the status, as soon as something holds of it."""

    async def found() -> dict[str, Any] | None:
        status = await bridge.ask("status")
        conserved(status)
        home: dict[str, Any] = status["targets"]["mqtt:home"]
        return home if holds(home) else None

    home = await eventually_async(found)
    assert home is not None
    return home


async def dead(bridge: BridgeProcess, *arguments: str) -> str:
    """What `relay-bridge dead` prints."""
    folder = str(bridge.folder / "run")
    done = await asyncio.to_thread(run, "dead", *arguments, RUNTIME_DIRECTORY=folder)
    assert done.status == 0, done.err
    return done.out


async def test_what_the_acl_denies_is_a_dead_letter_until_it_is_allowed(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic read #\ntopic write home/inside\n")
    async with (
        Broker(tmp_path, f"acl_file {acl}") as broker,
        Collector(broker.port) as seen,
        bridged(tmp_path, plain(broker), retain=True, route=", order: none, expire_after: 2s") as (
            bridge,
            relay,
        ),
    ):
        await relay.send(a_webhook(1, body='{"door": "outside"}'), a_webhook(2, body='{"door": "inside"}'))
        (heard,) = await seen.wait(1)
        assert heard.topic == "home/inside"
        refused = await home_when(bridge, lambda home: home["retries"] == 1)
        assert (refused["state"], refused["delivered"], refused["pending"]) == ("up", 1, 1)

        await home_when(bridge, lambda home: home["dead"] == 1)
        letter = json.loads(await dead(bridge, "list", "--format", "json"))
        assert letter["code"] == "mqtt-0x87"
        assert "Not authorized" in letter["reason"]

        acl.write_text("topic readwrite #\n")
        await broker.stop()
        await broker.start()
        await dead(bridge, "retry", "--all")
        await home_when(bridge, lambda home: home["delivered"] == 2)
        async with Collector(broker.port, "home/outside") as outside:
            (retried,) = await outside.wait(1)
        assert (retried.payload, retried.retain) == (b'{"door": "outside"}', True)
        assert await bridge.stop() == 0


async def test_a_broker_that_forgets_everything_gets_what_came_meanwhile(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path, "persistence false") as broker,
        bridged(tmp_path, plain(broker), retain=True) as (bridge, relay),
    ):
        await relay.send(a_webhook(1, body='{"door": "before"}'))
        await home_when(bridge, lambda home: home["delivered"] == 1)
        broker.freeze()
        await relay.send(a_webhook(2, body='{"door": "frozen"}'))
        await home_when(bridge, lambda home: home["pending"] == 1)
        await broker.stop(signal.SIGKILL)
        await relay.send(a_webhook(3, body='{"door": "away"}'))
        await home_when(bridge, lambda home: (home["state"], home["pending"]) == ("down", 2))
        await broker.start()
        await home_when(bridge, lambda home: (home["state"], home["delivered"]) == ("up", 3))
        async with Collector(broker.port) as seen:
            await seen.wait(2)
        assert {message.topic for message in seen.messages} == {"home/frozen", "home/away"}
        assert await bridge.stop() == 0


async def test_mqtt_3_1_1_is_used_with_a_warning(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path) as broker,
        Collector(broker.port) as seen,
        bridged(tmp_path, plain(broker) + ", protocol: 3.1.1") as (bridge, relay),
    ):
        await relay.send(a_webhook(1, body='{"door": "front"}'))
        (message,) = await seen.wait(1)
        assert (message.topic, message.user) == ("home/front", ())
        assert bridge.log_text().count("speaks MQTT 3.1.1") == 1
        assert await bridge.stop() == 0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def certified(certificates: Certificates) -> list[str]:
    """Lines of a listener that takes who has a certificate, and calls him what that says."""
    return [
        f"cafile {certificates.ca}",
        f"certfile {certificates.server_cert}",
        f"keyfile {certificates.server_key}",
        "require_certificate true",
        "use_identity_as_username true",
    ]


@pytest.mark.parametrize("url", ["mqtts://localhost:{}", "wss://localhost:{}/mqtt"])
async def test_a_client_certificate_is_all_that_it_takes(
    tmp_path: Path, certificates: Certificates, url: str
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic read #\n\nuser client\ntopic write home/#\n")
    websocket = ["protocol websockets"] if url.startswith("wss") else []
    files = {"ca": certificates.ca, "cert": certificates.client_cert, "key": certificates.client_key}
    own = "".join(f", {key}: '{file}'" for key, file in files.items())
    async with (
        Broker(tmp_path, *websocket, *certified(certificates), f"acl_file {acl}") as broker,
        Collector(broker.plain_port) as seen,
        bridged(tmp_path, f"url: '{url.format(broker.port)}'{own}") as (
            bridge,
            relay,
        ),
    ):
        await in_order(relay, seen)
        await home_when(bridge, lambda home: home["delivered"] == 100)
        assert await bridge.stop() == 0


async def test_a_websocket(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path, "protocol websockets") as broker,
        Collector(broker.plain_port) as seen,
        bridged(tmp_path, f"url: 'ws://localhost:{broker.port}/mqtt'") as (
            bridge,
            relay,
        ),
    ):
        await in_order(relay, seen)
        assert await bridge.stop() == 0


async def in_order(relay: ScriptedRelay, seen: Collector) -> None:
    await relay.send(*(a_webhook(n, body=f'{{"door": "{n}"}}') for n in range(100)))
    await seen.wait(100)
    assert [message.topic for message in seen.messages] == [f"home/{n}" for n in range(100)]
