import asyncio
import logging
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from yarl import URL

from bridge.selfhosted.resources import Bucket, Input, Limits, Output
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.relay_clients import bodies, heard, post, running, settings_of, subscribed
from tests.support.waiting import eventually

UNKNOWN = "/v1/webhooks/00000000-0000-0000-0000-000000000000"


async def raw(relay: SelfHostedRelay, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer to a request sent byte by byte as it stands."""
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def request_of(target: str, *lines: str, method: str = "POST", body: bytes = b"") -> bytes:
    head = [
        f"{method} {target} HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def path_of(relay: SelfHostedRelay, bucket: str) -> str:
    return relay.webhook_url(bucket).removeprefix(relay.url)


async def test_any_method_sub_path_and_query() -> None:
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        client = await subscribed(relay)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND", "TRACE"):
            url = URL(f"{relay.webhook_url('a')}/x%2Fy/%20z?q=%41&q=a+b&flag", encoded=True)
            async with http.request(method, url) as answer:
                assert answer.status == 200
            frame = await heard(client)
            assert frame["method"] == method
            assert frame["meta"]["output_destination"] == "/x%2Fy/%20z"
            assert frame["query"] == "q=%41&q=a+b&flag"
        await client.close()


@pytest.mark.parametrize("suffix", ["", "/"])
async def test_without_a_sub_path_the_path_is_a_slash(suffix: str) -> None:
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        client = await subscribed(relay)
        async with http.get(relay.webhook_url("a") + suffix):
            frame = await heard(client)
        assert (frame["meta"]["output_destination"], frame["query"]) == ("/", "")
        await client.close()


@pytest.mark.parametrize("path", ["/../b", "//b", "/./b", "/a/%2e%2e/b", "/%zz", "/%00", "/a;b,c='(d)!*"])
async def test_an_odd_path_stays_as_it_was_sent(path: str) -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        head, _ = await raw(relay, request_of(path_of(relay, "a") + path))
        assert head.startswith(b"HTTP/1.1 200")
        assert (await heard(client))["meta"]["output_destination"] == path
        await client.close()


async def test_an_internal_output_has_the_sub_path_at_its_end() -> None:
    bucket = Bucket.named(
        "a", outputs=[Output("one", "http://localhost:1880/x"), Output("two", "http://h?k=v")]
    )
    async with running(settings_of(bucket)) as relay, aiohttp.ClientSession() as http:
        client = await subscribed(relay)
        async with http.get(f"{relay.webhook_url('a')}/deep/er?q=1"):
            frames = [await heard(client), await heard(client)]
        shown = [one["meta"]["output_destination"] for one in frames]
        assert shown == ["http://localhost:1880/x/deep/er", "http://h/deep/er?k=v"]
        assert [one["meta"]["output_name"] for one in frames] == ["one", "two"]
        assert len({one["meta"]["id"] for one in frames}) == 2
        await client.close()


async def test_nothing_for_a_bucket_with_public_outputs_only() -> None:
    public = Bucket.named("public", outputs=[Output("x", "https://example.org", internal=False)])
    async with running(settings_of(public, "a")) as relay:
        client = await subscribed(relay)
        await post(relay, "public", "1")
        await post(relay, "a", "2")
        assert await bodies(client, 1) == ["2"]
        assert relay.counters.received == 2
        await client.close()


async def test_headers_as_the_service_shows_them() -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        lines = ("x-github-event: push", "X-Tag: 1", "x-tag: 2", "User-Agent: insomnia/6.0.2")
        await raw(relay, request_of(path_of(relay, "a"), *lines, body=b"x"))
        headers = (await heard(client))["headers"]
        assert headers["X-Github-Event"] == ["push"]
        assert headers["X-Tag"] == ["1", "2"]
        assert headers["User-Agent"] == ["insomnia/6.0.2"]
        assert headers["Content-Length"] == ["1"]
        assert "Host" not in headers
        await client.close()


async def test_a_header_that_is_not_utf_8_breaks_nothing() -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        await raw(relay, request_of(path_of(relay, "a"), "X-Note: caf@").replace(b"@", b"\xe9"))
        assert (await heard(client))["headers"]["X-Note"] == ["caf\ufffd"]
        await client.close()


async def test_a_chunked_body() -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        request = request_of(path_of(relay, "a"), "Transfer-Encoding: chunked").replace(
            b"Content-Length: 0\r\n", b""
        )
        await raw(relay, request + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        frame = await heard(client)
        assert frame["body"] == "abcde"
        assert "Transfer-Encoding" not in frame["headers"]
        await client.close()


async def test_a_compressed_body_goes_on_as_it_came() -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        await raw(relay, request_of(path_of(relay, "a"), "Content-Encoding: gzip", body=b"not really"))
        frame = await heard(client)
        assert (frame["body"], frame["headers"]["Content-Encoding"]) == ("not really", ["gzip"])
        await client.close()


@hypothesis_settings(max_examples=8, deadline=None)
@given(st.lists(st.text(max_size=40).map(str.encode), max_size=20))
async def test_every_utf_8_body_arrives_byte_for_byte(contents: list[bytes]) -> None:
    contents = [*contents, '\ufeffé😀\u2028\0\x7f\r\n\t\\"<>&\ufffe'.encode()]
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        client = await subscribed(relay)
        for content in contents:
            async with http.post(relay.webhook_url("a"), data=content) as answer:
                assert answer.status == 200
        assert [one.encode() for one in await bodies(client, len(contents))] == contents
        await client.close()


async def test_a_body_that_is_not_utf_8_is_shown_with_replacement_characters() -> None:
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        client = await subscribed(relay)
        async with http.post(relay.webhook_url("a"), data=b"\xffabc\xc3"):
            assert await bodies(client, 1) == ["\ufffdabc\ufffd"]
        await client.close()


async def test_the_static_answer_of_an_input() -> None:
    headers = (("Content-Type", "text/xml"), ("X-Note", "é"))
    entry = Input("in", "in-1", status=201, body="<ok>é</ok>", headers=headers)
    async with running(settings_of(Bucket("a", "b-1", (entry,)))) as relay:
        head, body = await raw(relay, request_of("/v1/webhooks/in-1"))
        lines = head.decode().split("\r\n")
        assert lines[0] == "HTTP/1.1 201 Created"
        assert {"Content-Type: text/xml", "X-Note: é"} <= set(lines)
        assert body.decode() == "<ok>é</ok>"


async def test_an_answer_without_a_body() -> None:
    entry = Input("in", "in-1", status=204)
    async with running(settings_of(Bucket("a", "b-1", (entry,)))) as relay:
        head, body = await raw(relay, request_of("/v1/webhooks/in-1"))
        assert head.startswith(b"HTTP/1.1 204")
        assert body == b""


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("size", [0, 10, 2000])
async def test_unknown_and_known_inputs_look_the_same(method: str, size: int) -> None:
    async with running(settings_of("a", limits=Limits(body=1000))) as relay:
        body = b"x" * size

        async def answer_of(path: str) -> list[bytes]:
            head, rest = await raw(relay, request_of(path, method=method, body=body))
            return [line for line in head.split(b"\r\n") if not line.startswith(b"Date")] + [rest]

        known = await answer_of(path_of(relay, "a") + "/x?y")
        assert await answer_of(UNKNOWN + "/x?y") == known
        assert await answer_of("/v1/webhooks/%ff%00") == known
        assert known[0].startswith(b"HTTP/1.1 413" if size > 1000 else b"HTTP/1.1 200")
        assert (relay.counters.received, relay.counters.unknown_input) == ((1, 2) if size <= 1000 else (0, 0))


async def test_oversize_bodies_are_refused_and_the_limit_itself_is_not() -> None:
    async with (
        running(settings_of("a", limits=Limits(confirm=0.01))) as relay,
        aiohttp.ClientSession() as http,
    ):
        client = await subscribed(relay)
        limit = 3 * 1024 * 1024

        async def chunks() -> Any:
            for _ in range(49):
                yield b"x" * 65536

        async with http.post(relay.webhook_url("a"), data=BytesIO(b"x" * (limit + 1))) as answer:
            assert answer.status == 413
        async with http.post(relay.webhook_url("a"), data=chunks()) as answer:
            assert answer.status == 413
        async with http.post(relay.webhook_url("a"), data=BytesIO(b"x" * limit)) as answer:
            assert answer.status == 200
        assert [len(one) for one in await bodies(client, 1)] == [limit]
        assert (relay.counters.too_large, relay.counters.received) == (2, 1)
        await client.close()


async def test_a_body_that_json_would_blow_up_is_refused_for_every_input() -> None:
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        for path in (path_of(relay, "a"), UNKNOWN):
            async with http.post(relay.url + path, data=BytesIO(b"\0" * 3_000_000)) as answer:
                assert answer.status == 413
            async with http.post(relay.url + path, data=BytesIO(b'"' * 3_000_000)) as answer:
                assert answer.status == 200
        assert relay.counters.too_large == 2


async def test_a_slow_body_is_given_up_on() -> None:
    async with running(settings_of("a", limits=Limits(request_time=0.1, close=0.1))) as relay:
        request = request_of(path_of(relay, "a"), body=b"x" * 100)[:-50]
        head, _ = await raw(relay, request)
        assert head.startswith(b"HTTP/1.1 408")
        assert relay.counters.received == 0


async def test_requests_beyond_the_limit_are_told_to_come_back() -> None:
    async with running(settings_of("a", limits=Limits(requests=1))) as relay, aiohttp.ClientSession() as http:
        _, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(request_of(path_of(relay, "a"), body=b"x" * 10)[:-5])

        async def busy() -> bool:
            async with http.post(relay.webhook_url("a")) as answer:
                return answer.status == 503 and answer.headers["Retry-After"] == "1"

        for _ in range(200):
            if await busy():
                break
        else:
            pytest.fail("every request was taken")
        writer.write(b"x" * 5)
        await eventually(lambda: relay.counters.received)
        while await busy():
            pass
        writer.close()
        await writer.wait_closed()


async def test_no_body_and_no_raw_path_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="bridge")
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        await post(relay, "a", "private content")
        await raw(relay, request_of("/v1/webhooks/\x1b[31mred"))
        await raw(relay, request_of("/v1/webhooks/%1b" + "x" * 500, body=b"private content"))
        await raw(relay, b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        await bodies(client, 1)
        await client.close()
    assert "private content" not in caplog.text
    assert "\x1b" not in caplog.text
    assert "s3cr3t" not in caplog.text
    assert "x" * 101 not in caplog.text
    assert "ERROR" not in caplog.text
    assert "unknown input" in caplog.text
