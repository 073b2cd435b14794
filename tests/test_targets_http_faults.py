"""The ways an HTTP service fails: each is classified right, is bounded, and harms nothing else."""

import asyncio
import gzip
import socket
import struct
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.message import DELIVERED, Delivered, Failure, FailureKind
from tests.support.http import (
    ACCEPTED,
    OK,
    RawServer,
    Script,
    answering,
    deliver,
    make_delivery,
    raw_server,
    recording_server,
    running,
)
from tests.support.waiting import eventually

TIMEOUT = Failure(FailureKind.BUSY, "timeout")
DISCONNECTED = Failure(FailureKind.BUSY, "disconnected")
BAD_RESPONSE = Failure(FailureKind.BUSY, "bad-response")

KIB = 1024
MIB = 1024 * KIB


class Flood:
    """Answers with `head` and then with `piece` for ever; `sent` counts the bytes that the peer took in."""

    def __init__(self, head: bytes, piece: bytes, *, pause: float = 0) -> None:
        self.head = head
        self.piece = piece
        self.pause = pause
        self.sent = 0

    def __call__(self, raw: RawServer) -> Script:
        async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Small buffers on this side, so that what was sent is what was taken in.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * KIB)
            writer.transport.set_write_buffer_limits(0)
            await raw.receive(reader)
            writer.write(self.head)
            while True:
                writer.write(self.piece)
                await writer.drain()
                self.sent += len(self.piece)
                await asyncio.sleep(self.pause)

        return follow


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# A service that takes its time


async def test_a_slow_answer_is_waited_for() -> None:
    async with recording_server() as server, running(server.url, timeout=5.0) as (target, recorder):
        server.gate.clear()
        asyncio.get_running_loop().call_later(0.2, server.gate.set)
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED


async def test_a_hanging_service_is_given_up_and_spends_an_attempt() -> None:
    async with recording_server() as server, running(server.url, timeout=0.2) as (target, recorder):
        server.gate.clear()
        began = time.monotonic()
        assert await deliver(target, recorder, make_delivery(server.url)) == TIMEOUT
        assert time.monotonic() - began < 1
        assert target.state().name == "up"
        server.gate.set()
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED


async def test_a_connection_that_hangs_spends_no_attempt() -> None:
    async def never_shakes_hands(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(lambda _raw: never_shakes_hands) as server:
        url = server.url.replace("http:", "https:")
        async with running(url, timeout=0.2) as (target, recorder):
            result = await deliver(target, recorder, make_delivery(url))
            assert result == Failure(FailureKind.CONNECTION, "connect-timeout")
            assert target.state().name == "down"


@pytest.mark.parametrize("pause", [0, 0.01])
async def test_endless_interim_answers_end_with_the_timeout(pause: float) -> None:
    flood = Flood(b"", b"HTTP/1.1 102 Processing\r\n\r\n", pause=pause)
    async with raw_server(flood) as server, running(server.url, timeout=0.3) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == TIMEOUT


async def test_an_interim_answer_is_no_answer() -> None:
    both = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ACCEPTED
    async with raw_server(answering(both)) as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED


# What the status says


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with recording_server() as other, recording_server(status=status) as server:
        server.headers = {"Location": f"{other.url}/elsewhere"}
        async with running(server.url) as (target, recorder):
            result = await deliver(target, recorder, make_delivery(server.url))
        assert result == Failure(FailureKind.REFUSED, f"http-{status}")
        assert other.requests == []
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind", "state"),
    [
        (400, FailureKind.PERMANENT, "up"),
        (422, FailureKind.PERMANENT, "up"),
        (401, FailureKind.REFUSED, "refused"),
        (404, FailureKind.REFUSED, "refused"),
        (408, FailureKind.BUSY, "up"),
        (503, FailureKind.BUSY, "up"),
    ],
)
async def test_a_status_has_its_consequence(status: int, kind: FailureKind, state: str) -> None:
    async with recording_server(status=status) as server, running(server.url) as (target, recorder):
        server.headers = {"Retry-After": "17"}
        result = await deliver(target, recorder, make_delivery(f"{server.url}/hook?token=s3cret"))
        retry_after = 17.0 if kind is FailureKind.BUSY else None
        assert result == Failure(kind, f"http-{status}", retry_after=retry_after)
        assert isinstance(result, Failure)
        assert f"{server.url}/hook answered {status}" in result.reason
        assert "s3cret" not in result.reason + target.state().reason
        assert target.state().name == state
        assert target.capacity() == 10


async def test_gone_pauses_the_target_until_it_is_resumed() -> None:
    async with recording_server(status=410) as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == Failure(
            FailureKind.GONE, "http-410"
        )
        assert target.capacity() == 0
        assert target.state().name == "paused"
        assert "410" in target.state().reason
        server.status = 200
        told = recorder.available_calls
        assert target.resume()
        assert recorder.available_calls == told + 1
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED


# The status line is the answer


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npart",
    ],
)
@pytest.mark.parametrize("rst", [True, False])
async def test_an_end_after_the_status_changes_nothing(answer: bytes, *, rst: bool) -> None:
    def script(raw: RawServer) -> Script:
        async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await raw.receive(reader)
            writer.write(answer)
            if rst:
                await asyncio.sleep(0.02)  # a reset discards what the peer has not read yet
                reset(writer)

        return follow

    async with raw_server(script) as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 20"])
@pytest.mark.parametrize("rst", [True, False])
async def test_an_end_before_the_status_spends_an_attempt(begun: bytes, *, rst: bool) -> None:
    def script(raw: RawServer) -> Script:
        async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await raw.receive(reader)
            writer.write(begun)
            if rst:
                reset(writer)

        return follow

    async with raw_server(script) as server, running(server.url) as (target, recorder):
        result = await deliver(target, recorder, make_delivery(server.url))
        assert result in (DISCONNECTED, BAD_RESPONSE)
        assert server.connections == 1


# Endless bodies and bombs


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
    ],
)
async def test_an_endless_body_is_cut_after_a_little(head: bytes) -> None:
    flood = Flood(head, bytes(16 * KIB))
    async with raw_server(flood) as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
        await eventually(lambda: all(task.done() for task in server.tasks))  # the connection was closed
        # 64 KiB are read; the rest is what this machine's socket buffers swallow.
        assert flood.sent < 2 * MIB


async def test_an_endless_chunked_body_is_cut_after_a_little() -> None:
    flood = Flood(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000)
    async with raw_server(flood) as server, running(server.url) as (target, recorder):
        result = await deliver(target, recorder, make_delivery(server.url))
        assert result == Failure(FailureKind.BUSY, "http-500")
        await eventually(lambda: all(task.done() for task in server.tasks))
        assert flood.sent < 2 * MIB


async def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(50 * MIB), 9)
    assert len(bomb) < 64 * KIB
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    async with raw_server(answering(answer, answer)) as server, running(server.url) as (target, recorder):
        tracemalloc.start()
        try:
            for _ in range(2):
                assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2 * MIB
        assert server.connections == 1  # it was short as it came, so the connection served again
        assert b"Accept-Encoding: identity\r\n" in server.requests[0]


async def test_a_body_that_drips_ends_with_the_timeout() -> None:
    flood = Flood(b"HTTP/1.1 201 Created\r\n\r\n", b"x", pause=0.01)
    async with raw_server(flood) as server, running(server.url, timeout=0.3) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
        await eventually(lambda: all(task.done() for task in server.tasks))


# Answers that are not HTTP


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x00" * 1000,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * MIB + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 " + b"a" * MIB + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_http_is_tried_again(answer: bytes) -> None:
    async with raw_server(answering(answer)) as server, running(server.url) as (target, recorder):
        result = await deliver(target, recorder, make_delivery(server.url))
        assert result in (BAD_RESPONSE, DISCONNECTED)
        assert server.connections == 1
        assert target.capacity() == 10


async def test_endless_headers_are_cut() -> None:
    flood = Flood(b"HTTP/1.1 200 OK\r\n", b"X: aaaaaaaaaaaaaaaa\r\n" * 500)
    async with raw_server(flood) as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == BAD_RESPONSE
        assert flood.sent < 2 * MIB


@given(answer=st.binary(max_size=200).map(lambda tail: b"HTTP/1.1 " + tail) | st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
async def test_any_bytes_make_one_result(answer: bytes) -> None:
    async with (
        raw_server(answering(answer)) as server,
        running(server.url, timeout=2.0) as (target, recorder),
    ):
        result = await deliver(target, recorder, make_delivery(server.url))
        assert isinstance(result, Delivered | Failure)
        assert len(recorder.results) == 1
        assert result != Failure(FailureKind.BUSY, "internal")
        if isinstance(result, Failure):
            assert result.kind is not FailureKind.CONNECTION
            assert result.reason.isprintable()


# Connections that end


async def test_a_post_that_meets_a_dying_connection_is_sent_once() -> None:
    def script(raw: RawServer) -> Script:
        async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await raw.receive(reader)
            writer.write(ACCEPTED)
            await raw.receive(reader)  # taken, and the connection ends without an answer

        return follow

    async with raw_server(script) as server, running(server.url) as (target, recorder):
        assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
        assert await deliver(target, recorder, make_delivery(f"{server.url}/second")) == DISCONNECTED
        assert [request.split()[1] for request in server.requests] == [b"/", b"/second"]
        assert server.connections == 1


async def test_a_connection_that_ended_while_idle_is_not_used() -> None:
    async with raw_server(answering(ACCEPTED)) as server, running(server.url) as (target, recorder):
        for _ in range(3):
            assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
            await eventually(lambda: all(task.done() for task in server.tasks))
            await asyncio.sleep(0.02)  # the end of the connection reaches the client
        assert server.connections == 3
        assert len(server.requests) == 3


async def test_an_answer_nobody_asked_for_is_not_taken_for_the_next() -> None:
    smuggled = ACCEPTED + b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(answering(smuggled)) as server, running(server.url) as (target, recorder):
        for _ in range(2):
            assert await deliver(target, recorder, make_delivery(server.url)) == DELIVERED
        assert server.connections == 2


async def test_an_early_refusal_of_a_large_body_is_heard() -> None:
    def script(_raw: RawServer) -> Script:
        async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await reader.read()

        return follow

    async with raw_server(script) as server, running(server.url) as (target, recorder):
        result = await deliver(target, recorder, make_delivery(server.url, raw=bytes(8 * MIB)))
        assert result == Failure(FailureKind.PERMANENT, "http-413")


async def test_one_connection_s_fault_leaves_the_others_alone() -> None:
    def script(raw: RawServer) -> Script:
        async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await raw.receive(reader)
            if b"/bad" in request.split(b"\r\n")[0]:
                reset(writer)
            else:
                writer.write(OK)

        return follow

    async with raw_server(script) as server, running(server.url, max_in_flight=20) as (target, recorder):
        for n in range(20):
            target.send(make_delivery(f"{server.url}/{'bad' if n % 2 else 'good'}", seq=n))
        await eventually(lambda: len(recorder.results) == 20)
        outcomes = {delivery.seq: result for delivery, result in recorder.results}
        assert all(outcomes[n] == (DISCONNECTED if n % 2 else DELIVERED) for n in range(20))
