"""HTTP targets against real servers: what is sent, how much at once, outages, isolation, close."""

import asyncio
import logging
import shutil
import ssl
import subprocess
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bridge.config.model import ServiceSettings
from bridge.message import DELIVERED, Failure, FailureKind, MqttMessage
from bridge.secret import Secret
from bridge.targets import http_health
from bridge.targets.base import Target
from bridge.targets.http import HttpTarget
from bridge.version import __version__
from tests.support.http import (
    ACCEPTED,
    OK,
    Recorder,
    answering,
    deliver,
    make_delivery,
    raw_server,
    recording_server,
    result_of,
    running,
)
from tests.support.waiting import eventually


def test_it_is_a_target() -> None:
    target: Target = HttpTarget(ServiceSettings("test", "http://127.0.0.1"), Recorder())
    assert target.name == "http:test"
    assert target.lane_window == 1
    assert target.capacity() == 0  # until it is started


# What goes over the wire


async def test_the_bytes_on_the_wire() -> None:
    async with raw_server(answering(OK)) as server, running(server.url) as (target, recorder):
        headers = (
            ("Content-Type", "application/json"),
            ("X-Hub", "sha256=00"),
            ("X-A", "1"),
            ("X-A", "2"),
        )
        delivery = make_delivery(f"{server.url}/ring?door=front", headers=headers, raw=b'{"a":\xff}')
        assert await deliver(target, recorder, delivery) == DELIVERED
        assert server.requests == [
            b"POST /ring?door=front HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"Content-Type: application/json\r\n"
            b"X-Hub: sha256=00\r\n"
            b"X-A: 1\r\nX-A: 2\r\n"
            b"User-Agent: relay-bridge/%s\r\n"
            b"Accept-Encoding: identity\r\n"
            b"Accept: */*\r\n"
            b"Content-Length: 7\r\n\r\n"
            b'{"a":\xff}' % (server.port, __version__.encode())
        ]


async def test_a_rendered_body_goes_instead_of_the_webhook_s() -> None:
    async with recording_server() as server, running(server.url) as (target, recorder):
        await deliver(target, recorder, make_delivery(server.url, method="PUT", body=b"on"))
        await deliver(target, recorder, make_delivery(server.url, body=b""))
        assert [(seen.method, seen.body) for seen in server.requests] == [("PUT", b"on"), ("POST", b"")]
        assert server.requests[1].headers["content-length"] == "0"


async def test_a_get_without_a_body_has_no_length() -> None:
    async with recording_server() as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url, method="GET", raw=b"")) == DELIVERED
        assert "content-length" not in server.requests[0].headers
        assert "transfer-encoding" not in server.requests[0].headers


async def test_the_service_s_headers_win() -> None:
    service = (("Authorization", Secret("Bearer s3cret")), ("x-source", Secret("bridge")))
    async with recording_server() as server, running(server.url, headers=service) as (target, recorder):
        forwarded = (("X-Source", "a stranger"), ("X-Source", "twice"), ("User-Agent", "GitHub-Hookshot/1"))
        await deliver(target, recorder, make_delivery(server.url, headers=forwarded))
        seen = server.requests[0].headers
        assert seen["authorization"] == "Bearer s3cret"
        assert seen["x-source"] == "bridge"
        assert seen["user-agent"] == "GitHub-Hookshot/1"


@pytest.mark.parametrize(
    ("rendered", "sent"),
    [
        ("/a%2Fb%2fc/%7e?x=%20+%2B", "/a%2Fb%2fc/%7e?x=%20+%2B"),
        ("/a/%2e%2e/b", "/a/%2e%2e/b"),
        ("/grüße an alle", "/gr%C3%BC%C3%9Fe%20an%20alle"),
    ],
)
async def test_a_url_is_sent_as_it_was_rendered(rendered: str, sent: str) -> None:
    async with raw_server(answering(OK)) as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url + rendered)) == DELIVERED
        assert server.requests[0].startswith(f"POST {sent} HTTP/1.1\r\n".encode())


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 4 * 4096
    async with recording_server() as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url, raw=body)) == DELIVERED
        assert server.requests[0].body == body


async def test_no_cookie_is_kept() -> None:
    async with recording_server() as server:
        url = server.url.replace("127.0.0.1", "localhost")  # cookies belong to names
        server.headers = {"Set-Cookie": "session=1; Path=/"}
        async with running(url) as (target, recorder):
            for _ in range(2):
                assert await deliver(target, recorder, make_delivery(url)) == DELIVERED
        assert "cookie" not in server.requests[1].headers


async def test_a_content_type_is_not_made_up() -> None:
    async with recording_server() as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
        assert "content-type" not in server.requests[0].headers


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with recording_server() as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED


async def test_a_connection_serves_again() -> None:
    async with raw_server(answering(*[ACCEPTED] * 5)) as server, running(server.url) as (target, recorder):
        for _ in range(5):
            assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
        assert server.connections == 1


@pytest.mark.parametrize("smuggled", ["a\r\nX-Admin: 1", "a\nb", "a\0b"])
async def test_a_control_character_in_a_header_is_never_written(smuggled: str) -> None:
    async with raw_server(answering(OK)) as server, running(server.url) as (target, recorder):
        delivery = make_delivery(server.url, headers=(("X-Event", smuggled),))
        assert await deliver(target, recorder, delivery) == Failure(FailureKind.PERMANENT, "invalid-request")
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "http://h:99999/", "ftp://127.0.0.1/", "http://[::1"]
)
async def test_a_url_that_is_none_is_a_dead_letter(url: str) -> None:
    async with running("http://127.0.0.1") as (target, recorder):
        result = await deliver(target, recorder, make_delivery(url))
        assert result == Failure(FailureKind.PERMANENT, "invalid-request")
        assert target.state().name == "up"


async def test_a_path_goes_to_where_the_service_is_now() -> None:
    async with recording_server() as server, running(f"{server.url}/base") as (target, recorder):
        assert await deliver(target, recorder, make_delivery("/x?y=1")) == DELIVERED
        assert server.requests[0].path == "/base/x?y=1"


async def test_something_else_than_a_request_has_a_result_too(caplog: pytest.LogCaptureFixture) -> None:
    async with running("http://127.0.0.1") as (target, recorder):
        delivery = make_delivery("http://127.0.0.1")
        delivery.message = MqttMessage("home/ring")
        assert await deliver(target, recorder, delivery) == Failure(FailureKind.BUSY, "internal")
        assert "failed inside the bridge" in caplog.text


# How much at once


async def test_requests_in_flight_are_bounded() -> None:
    async with recording_server() as server, running(server.url, max_in_flight=3) as (target, recorder):
        server.gate.clear()
        waiting = [make_delivery(server.url, seq=n) for n in range(9)]
        sent = 0
        while target.capacity() > 0:
            target.send(waiting[sent])
            sent += 1
        assert sent == 3
        await eventually(lambda: server.at_once == 3)
        told = recorder.available_calls
        server.gate.set()
        await eventually(lambda: len(recorder.results) == 3)
        assert target.capacity() == 3
        assert recorder.available_calls > told
        assert server.most_at_once == 3


async def test_each_delivery_has_one_result_and_none_from_within_send() -> None:
    async with recording_server() as server, running(server.url, max_in_flight=20) as (target, recorder):
        deliveries = [make_delivery(server.url, seq=n) for n in range(20)]
        for delivery in deliveries:
            before = len(recorder.results)
            target.send(delivery)
            assert len(recorder.results) == before
        await eventually(lambda: len(recorder.results) == 20)
        assert {d.seq for d, _ in recorder.results} == set(range(20))


# Outages


async def test_an_outage_lasts_until_a_probe_comes_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="bridge.targets")
    async with recording_server() as server:
        url = server.url
    async with AsyncExitStack() as stack:
        target, recorder = await stack.enter_async_context(running(url))
        for n in range(5):
            target.send(make_delivery(url, seq=n))
        await eventually(lambda: len(recorder.results) == 5)
        assert {result for _, result in recorder.results} == {Failure(FailureKind.CONNECTION, "refused")}
        assert target.state().name == "down"
        assert "Connection refused" in target.state().reason

        await stack.enter_async_context(recording_server(port=int(url.rpartition(":")[2])))
        await eventually(lambda: recorder.available_calls == 2)  # at its start, and for the probe
        assert target.capacity() == 1
        probe = make_delivery(url)
        target.send(probe)
        assert target.capacity() == 0
        assert await result_of(recorder, probe) == DELIVERED
        assert target.capacity() == 10
        assert target.state().name == "up"
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("http:test is down: ")
    assert lines[1].startswith("http:test is back after ")


async def test_a_name_that_does_not_resolve_spends_no_attempt() -> None:
    url = "http://no-such-host.invalid:1880/x"
    async with running(url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(url)) == Failure(FailureKind.CONNECTION, "dns")
        assert target.state().name == "down"


async def test_a_name_server_that_hangs_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def never(*_: object, **__: object) -> list[Any]:
        answered.wait(10)
        return []

    monkeypatch.setattr("socket.getaddrinfo", never)
    began = time.monotonic()
    async with running("http://slow.test", timeout=0.1) as (target, recorder):
        result = await deliver(target, recorder, make_delivery("http://slow.test/x"))
        assert result == Failure(FailureKind.CONNECTION, "connect-timeout")
    await asyncio.get_running_loop().shutdown_default_executor()  # as at the process's end, which waits for
    assert all(
        thread.daemon for thread in threading.enumerate() if thread.name == "http-resolver"
    )  # no daemon
    assert time.monotonic() - began < 1
    answered.set()


async def test_a_name_that_resolves_is_reached() -> None:
    async with recording_server() as server:
        url = server.url.replace("127.0.0.1", "localhost")
        async with running(url) as (target, recorder):
            assert await deliver(target, recorder, make_delivery(url)) == DELIVERED
        assert server.requests[0].headers["host"] == url.removeprefix("http://")


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]"])
async def test_a_metadata_address_is_refused(host: str) -> None:
    url = f"http://{host}/latest/meta-data"
    async with running(url) as (target, recorder):
        result = await deliver(target, recorder, make_delivery(url))
        assert result == Failure(FailureKind.REFUSED, "forbidden-address")


async def test_a_name_that_resolves_to_a_metadata_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", ("169.254.169.254", 80))]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    async with running("http://rebound.test") as (target, recorder):
        result = await deliver(target, recorder, make_delivery("http://rebound.test/x"))
        assert result == Failure(FailureKind.REFUSED, "forbidden-address")


async def test_a_dead_target_delays_no_other() -> None:
    async def never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        raw_server(lambda _raw: never) as dead,
        recording_server() as server,
        running(dead.url) as (hanging, _),
        running(server.url) as (target, recorder),
    ):
        while hanging.capacity() > 0:
            hanging.send(make_delivery(dead.url))
        await eventually(lambda: dead.connections == 10)
        for _ in range(10):
            began = time.monotonic()
            assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
            assert time.monotonic() - began < 0.1


# Close


async def test_close_waits_for_what_is_in_flight() -> None:
    async with recording_server() as server, running(server.url) as (target, recorder):
        server.gate.clear()
        target.send(make_delivery(server.url))
        await eventually(lambda: server.at_once == 1)
        closing = asyncio.create_task(target.close(10))
        await asyncio.sleep(0)
        assert target.capacity() == 0
        server.gate.set()
        await closing
        assert [result for _, result in recorder.results] == [DELIVERED]


async def test_close_fails_what_does_not_finish_in_time() -> None:
    async with recording_server() as server, running(server.url) as (target, recorder):
        server.gate.clear()
        for n in range(3):
            target.send(make_delivery(server.url, seq=n))
        await eventually(lambda: server.at_once == 3)
        began = time.monotonic()
        await target.close(0.05)
        assert time.monotonic() - began < 1
        assert [result for _, result in recorder.results] == [Failure(FailureKind.CONNECTION, "stopped")] * 3
        assert target.state().name == "up"
        await target.close(0.05)  # once more does nothing


async def test_close_during_an_outage_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_health, "FIRST_WAIT", 0.01)
    async with recording_server() as server:
        url = server.url
    async with running(url) as (target, recorder):
        await deliver(target, recorder, make_delivery(url))
        await target.close(1)
        told = recorder.available_calls
        await asyncio.sleep(0.03)  # longer than the first back-off
        assert recorder.available_calls == told
        assert target.capacity() == 0


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, as one PEM file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed on this machine")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=elsewhere", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [openssl, "req", "-x509", *curve, *names, "-keyout", str(file), "-out", str(file) + ".crt"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + Path(str(file) + ".crt").read_text())
    return file


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_service_with_its_own_authority(certificate: Path, server_tls: ssl.SSLContext) -> None:
    async with (
        recording_server(tls=server_tls) as server,
        running(server.url, ca=certificate) as (target, recorder),
    ):
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_certificate_is_verified(certificate: Path, server_tls: ssl.SSLContext, name: str) -> None:
    ca = certificate if name == "localhost" else None  # known, and for another name; or not known at all
    async with recording_server(tls=server_tls) as server:
        url = server.url.replace("127.0.0.1", name)
        async with running(url, ca=ca) as (target, recorder):
            result = await deliver(target, recorder, make_delivery(url))
            assert result == Failure(FailureKind.CONNECTION, "tls")
            assert "certificate refused: " in target.state().reason
            assert server.requests == []
