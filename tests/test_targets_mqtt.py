"""The MQTT target against a real Mosquitto."""

import asyncio
import logging
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.config.model import BrokerSettings
from bridge.message import DELIVERED, Delivered, Failure, FailureKind, MqttMessage
from bridge.secret import Secret
from bridge.targets.base import Target
from bridge.targets.mqtt import MqttTarget
from bridge.targets.mqtt_publication import pack_properties, packet_size
from tests.support.deliveries import webhook
from tests.support.mosquitto import Broker, Collector
from tests.support.mqtt import Feeder, feeding, publication
from tests.support.tls import Certificates, make_certificates
from tests.support.waiting import eventually


def test_it_is_a_target() -> None:
    target: Target = MqttTarget(BrokerSettings("home", max_in_flight=7), Feeder(), node="pi")
    assert (target.name, target.lane_window, target.capacity()) == ("mqtt:home", 7, 0)
    assert target.state().name == "connecting"


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_publication_arrives_as_it_was_routed(tmp_path: Path, qos: int) -> None:
    async with (
        Broker(tmp_path) as broker,
        Collector(broker.port, "home/#") as seen,
        feeding(broker.port) as feeder,
    ):
        sent = publication(1, "home/türe/ring", b'{"a": 1}', qos=qos, content_type="application/json")
        assert await feeder.deliver(sent) == [DELIVERED]
        (message,) = await seen.wait(1)
    assert (message.topic, message.payload, message.qos) == ("home/türe/ring", b'{"a": 1}', qos)
    assert (message.content_type, message.payload_format, message.expiry) == ("application/json", 1, None)
    assert message.user == (("id", "log-1"), ("bucket", "doorbell"), ("route", "route"))


async def test_the_body_goes_byte_for_byte_and_says_where_it_came_from(tmp_path: Path) -> None:
    body = bytes(range(256))
    late = webhook(body, id="nul\0 and \ud800", bucket="bücket", late=True)
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen, feeding(broker.port) as feeder:
        sent = publication(1, webhook=late, content_type="text/\x07plain")
        assert await feeder.deliver(sent) == [DELIVERED]
        (message,) = await seen.wait(1)
    assert message.payload == body
    assert message.payload_format is None
    assert message.content_type == "text/\ufffdplain"
    assert dict(message.user) == {
        "id": "nul\ufffd and \ufffd",
        "bucket": "bücket",
        "route": "route",
        "late": "true",
    }


async def test_the_time_that_is_left_becomes_the_message_expiry(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen, feeding(broker.port) as feeder:
        deadline = time.monotonic() + 60.5
        await feeder.deliver(
            publication(1, expires=True, deadline=deadline),
            publication(2, expires=False, deadline=deadline),
            publication(3, expires=True, deadline=None),
        )
        messages = await seen.wait(3)
    expiries = [message.expiry for message in messages]
    assert expiries[0] in range(55, 61)
    assert expiries[1:] == [None, None]


async def test_a_retained_message_is_kept_for_who_comes_later(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, feeding(broker.port) as feeder:
        await feeder.deliver(publication(1, "state", b"on", retain=True), publication(2, "event", b"ring"))
        async with Collector(broker.port) as seen:
            (message,) = await seen.wait(1)
    assert (message.topic, message.payload, message.retain) == ("state", b"on", True)


async def test_nobody_listening_is_delivered_and_counted(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, feeding(broker.port) as feeder:
        assert await feeder.deliver(publication(1)) == [Delivered("no-subscriber")]
        counters = feeder.target.counters
    assert (counters.published, counters.acknowledged, counters.no_subscriber) == (1, 1, 1)


async def test_two_thousand_arrive_once_and_in_order(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen, feeding(broker.port) as feeder:
        assert feeder.target.capacity() == 20  # Mosquitto's Receive Maximum
        feeder.give(*(publication(seq) for seq in range(2000)))
        assert set(await feeder.wait(2000)) == {DELIVERED}
        await seen.wait(2000)
    assert [int(payload) for payload in seen.payloads] == list(range(2000))


@pytest.mark.parametrize("qos", [0, 1])
async def test_large_payloads_wait_for_the_socket(tmp_path: Path, qos: int) -> None:
    bodies = [bytes([seq]) * 1_500_000 for seq in range(12)]
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen, feeding(broker.port) as feeder:
        feeder.give(*(publication(seq, payload=body, qos=qos) for seq, body in enumerate(bodies)))
        assert await feeder.wait(12) == [DELIVERED] * 12
        await seen.wait(12)
    assert seen.payloads == bodies


@pytest.mark.parametrize(
    "topic", ["", "a/+", "a/#", "nul\0", "bell\x07", "\ufffe", "\ud800", "x" * 65_536, "/" * 200]
)
async def test_an_invalid_topic_is_never_sent(tmp_path: Path, topic: str) -> None:
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen, feeding(broker.port) as feeder:
        refused, taken = await feeder.deliver(publication(1, topic), publication(2, "good"))
        await seen.wait(1)
        if refused == DELIVERED:
            refused, taken = taken, refused
        assert refused == Failure(FailureKind.PERMANENT, "topic-invalid")
        assert taken == DELIVERED
        assert feeder.target.counters.connections == 1
    assert [message.topic for message in seen.messages] == ["good"]


async def test_what_the_broker_would_not_take_is_not_sent(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path, "max_packet_size 2000") as broker,
        Collector(broker.port) as seen,
        feeding(broker.port) as feeder,
    ):
        empty = publication(1, payload=b"")
        properties = pack_properties(empty, MqttMessage("home/ring"), b"", 0.0)
        fits = 2000 - packet_size("home/ring", b"x" * 1000, properties) + 1000
        large = [publication(1, payload=b"x" * size) for size in (fits, fits + 1)]
        too_large = Failure(FailureKind.PERMANENT, "too-large")
        assert [await feeder.deliver(each) for each in large] == [[DELIVERED], [too_large]]
        await seen.wait(1)
        assert feeder.target.counters.connections == 1
        assert feeder.target.counters.rejected == 1


@pytest.mark.parametrize("qos", [1, 2])
async def test_a_topic_that_the_broker_denies_is_refused(tmp_path: Path, qos: int) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic write allowed/#\ntopic read #\n")
    async with (
        Broker(tmp_path, f"acl_file {acl}") as broker,
        Collector(broker.port) as seen,
        feeding(broker.port) as feeder,
    ):
        topics = ["denied/x", "allowed/x"]
        denied, taken = await feeder.deliver(
            *(publication(seq, topic, qos=qos) for seq, topic in enumerate(topics))
        )
        assert denied == Failure(FailureKind.REFUSED, "mqtt-0x87")
        assert taken == DELIVERED
        await seen.wait(1)
        assert feeder.target.counters.refused == 1


async def test_mqtt_3_1_1_cannot_say_that_a_topic_is_denied(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic write allowed/#\n")
    async with (
        Broker(tmp_path, f"acl_file {acl}") as broker,
        feeding(broker.port, protocol="3.1.1") as feeder,
    ):
        assert await feeder.deliver(publication(1, "denied/x")) == [DELIVERED]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_mqtt_3_1_1_with_a_warning(tmp_path: Path, qos: int, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        Broker(tmp_path) as broker,
        Collector(broker.port) as seen,
        feeding(broker.port, protocol="3.1.1") as feeder,
    ):
        feeder.give(*(publication(seq, qos=qos) for seq in range(200)))
        assert set(await feeder.wait(200)) == {DELIVERED}
        messages = await seen.wait(200)
    assert [int(payload) for payload in seen.payloads] == list(range(200))
    assert {message.user for message in messages} == {()}
    assert [record.levelname for record in caplog.records if "3.1.1" in record.message] == ["WARNING"]


async def test_a_websocket(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path, "protocol websockets") as broker,
        Collector(broker.plain_port) as seen,
        feeding(broker.port, scheme="ws", path="/mqtt") as feeder,
    ):
        feeder.give(*(publication(seq, qos=seq % 3) for seq in range(100)))
        assert set(await feeder.wait(100)) == {DELIVERED}
        await seen.wait(100)
    assert sorted(int(payload) for payload in seen.payloads) == list(range(100))


# TLS and credentials


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def tls_lines(certificates: Certificates) -> list[str]:
    return [
        f"cafile {certificates.ca}",
        f"certfile {certificates.server_cert}",
        f"keyfile {certificates.server_key}",
        "require_certificate true",
        "use_identity_as_username true",
    ]


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
async def test_tls_with_a_client_certificate(tmp_path: Path, certificates: Certificates, scheme: str) -> None:
    websocket = ["protocol websockets"] if scheme == "wss" else []
    tls: dict[str, Any] = {
        "ca": certificates.ca,
        "cert": certificates.client_cert,
        "key": certificates.client_key,
    }
    async with (
        Broker(tmp_path, *websocket, *tls_lines(certificates)) as broker,
        Collector(broker.plain_port) as seen,
        feeding(broker.port, scheme=scheme, host="localhost", **tls) as feeder,
    ):
        feeder.give(*(publication(seq) for seq in range(200)))
        assert set(await feeder.wait(200)) == {DELIVERED}
        await seen.wait(200)
    assert [int(payload) for payload in seen.payloads] == list(range(200))


async def test_a_server_that_is_not_certified_gets_nothing(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with Broker(tmp_path, *tls_lines(certificates)) as broker:
        async with feeding(broker.port, scheme="mqtts", host="localhost", wait_until="down") as feeder:
            assert "certificate verify failed" in feeder.target.state().reason
        missing = tmp_path / "missing.pem"
        async with feeding(broker.port, scheme="mqtts", ca=missing, wait_until="down") as feeder:
            assert "No such file" in feeder.target.state().reason


async def test_a_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    passwords = tmp_path / "passwords"
    command = ["mosquitto_passwd", "-b", "-c", str(passwords), "bridge", "correct horse"]
    await asyncio.to_thread(subprocess.run, command, check=True)
    async with Broker(tmp_path, f"password_file {passwords}") as broker:
        user: dict[str, Any] = {"username": "bridge", "password": Secret("correct horse")}
        async with feeding(broker.port, **user) as feeder:
            assert isinstance((await feeder.deliver(publication(1)))[0], Delivered)
        wrong = user | {"password": Secret("battery staple")}
        async with feeding(broker.port, **wrong, wait_until="refused") as feeder:
            state = feeder.target.state()
            assert feeder.target.capacity() == 0
    assert state.reason == "the broker refused: Not authorized"
    assert state.since == pytest.approx(time.time(), abs=5)
    assert "battery" not in caplog.text
    assert "horse" not in caplog.text


# Outages


async def test_a_restart_loses_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path, "persistence true") as broker,
        Collector(broker.port) as seen,
        feeding(broker.port) as feeder,
    ):
        feeder.give(*(publication(seq) for seq in range(500)))
        await feeder.wait(100)
        await broker.stop()
        await eventually(lambda: feeder.target.state().name == "down")
        assert feeder.target.capacity() == 0
        feeder.give(*(publication(seq) for seq in range(500, 1000)))
        await broker.start()
        started = time.monotonic()
        await feeder.wait(len(feeder.results) + 1)
        assert time.monotonic() - started < 5
        await eventually(lambda: sum(r == DELIVERED for _, r in feeder.results) == 1000)
        await eventually(lambda: len(set(seen.payloads)) == 1000)
        assert feeder.target.counters.interruptions == 1
    first_seen = list(dict.fromkeys(int(payload) for payload in seen.payloads))
    assert first_seen == list(range(1000))


async def test_an_outage_is_two_lines_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bridge.targets")
    async with Broker(tmp_path) as broker, feeding(broker.port) as feeder:
        await broker.stop()
        await eventually(lambda: "refused" in feeder.target.state().reason)  # an attempt that failed, too
        since = feeder.target.state().since
        assert since > 0
        await broker.start()
        await eventually(lambda: feeder.target.state().name == "up")
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]
    assert [record.__dict__["state"] for record in caplog.records] == ["up", "down", "up"]
    assert "seconds" not in caplog.records[0].__dict__
    assert f"after {caplog.records[2].__dict__['seconds']:.1f} s" in caplog.records[2].getMessage()


async def test_a_broker_that_comes_later(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    async with feeding(broker.port, wait_until="down") as feeder:
        feeder.give(publication(1))
        async with broker:
            assert await feeder.wait(1) == [Delivered("no-subscriber")]
            assert feeder.available_calls == 1


async def test_a_frozen_broker_is_found_and_what_was_in_flight_is_sent_again(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path) as broker,
        Collector(broker.port) as seen,
        feeding(broker.port, keepalive=2) as feeder,
    ):
        await feeder.deliver(publication(1))
        broker.freeze()
        frozen = time.monotonic()
        feeder.give(*(publication(seq) for seq in range(2, 30)))
        await eventually(lambda: feeder.target.state().name == "down")
        assert time.monotonic() - frozen < 1.5 * 2 + 2
        broker.thaw()
        await feeder.wait(29)
        await eventually(lambda: {int(payload) for payload in seen.payloads} == set(range(1, 30)))
    assert {result for _, result in feeder.results} == {DELIVERED}


async def test_qos_0_that_was_not_written_is_sent_on_the_next_connection(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, feeding(broker.port) as feeder:
        broker.freeze()
        feeder.give(*(publication(seq, payload=b"x" * 1_000_000, qos=0) for seq in range(20)))
        assert feeder.target.capacity() == 0
        await broker.stop(signal.SIGKILL)
        results = await feeder.wait(20)
        assert set(results) == {Failure(FailureKind.CONNECTION, "lost")}
        await broker.start()
        assert (await feeder.wait(40))[20:] == [DELIVERED] * 20


async def test_two_clients_with_one_id_do_not_throw_each_other_out_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    async with Broker(tmp_path) as broker, feeding(broker.port) as one, feeding(broker.port) as other:
        states = [one.target.state, other.target.state]
        await eventually(lambda: sorted(state().name for state in states) == ["refused", "up"])
        loser = one if one.target.state().name == "refused" else other
        assert "another client with the same client ID?" in loser.target.state().reason
        winner = other if loser is one else one
        assert await winner.deliver(publication(1)) == [Delivered("no-subscriber")]
        assert loser.target.capacity() == 0
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


# Isolation and close


async def test_a_name_that_hangs_blocks_neither_the_loop_nor_close(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, release = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> socket.socket:
        asked.set()
        release.wait(10)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "create_connection", hang)
    target = MqttTarget(BrokerSettings("home"), Feeder(), node="pi")
    began = time.monotonic()
    await target.start()
    await eventually(asked.is_set)
    await target.close(5.0)
    assert time.monotonic() - began < 0.5
    release.set()


async def test_close_waits_for_what_is_in_flight_and_leaves_nothing(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen:
        tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
        async with feeding(broker.port) as feeder:
            feeder.give(*(publication(seq, qos=2) for seq in range(20)))
            await feeder.target.close(5.0)
            assert [result for _, result in feeder.results] == [DELIVERED] * 20
            assert feeder.target.capacity() == 0
        assert asyncio.all_tasks() == tasks
        assert set(threading.enumerate()) <= threads
        await eventually(lambda: "Client relay-bridge-pi-home disconnected." in broker.log)
        await seen.wait(20)


async def test_close_fails_what_is_not_acknowledged_in_time(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, feeding(broker.port) as feeder:
        broker.freeze()
        feeder.give(*(publication(seq) for seq in range(3)))
        began = time.monotonic()
        await feeder.target.close(0.2)
        assert 0.2 <= time.monotonic() - began < 1
        assert [result for _, result in feeder.results] == [Failure(FailureKind.CONNECTION, "closed")] * 3
