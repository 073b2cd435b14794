"""The REST client and the reader of logs, at a server that lists and refuses as it is told."""

import logging
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web

from bridge.errors import CredentialsRefused, RedirectRefused, RelayError
from bridge.relay.entries import Directory
from bridge.relay.logreader import LogReader
from bridge.relay.rest import AnswerTooLarge, LogUnavailable, RelayRest, base_url
from bridge.secret import Secret
from bridge.webhook import Webhook
from tests.support.rest import BASIC, BUCKET, KEY, NOW, SECRET, ScriptedRest, an_entry, rfc3339, scripted_rest

MIB = 1024 * 1024


@pytest.fixture(name="relay")
async def _relay() -> AsyncIterator[ScriptedRest]:
    async with scripted_rest() as relay:
        yield relay


def client(relay: ScriptedRest, key: str = KEY, max_answer: int = MIB) -> RelayRest:
    return RelayRest(relay.url, key, Secret(SECRET), max_answer=max_answer)


async def read(
    relay: ScriptedRest, start: float, end: float, max_answer: int = MIB
) -> tuple[list[str], LogReader]:
    """The IDs that are handed over for a range, in their order."""
    found: list[str] = []

    async def hand_over(webhooks: Sequence[Webhook]) -> None:
        found.extend(one.id for one in webhooks)

    async with client(relay, max_answer=max_answer) as rest:
        reader = LogReader(rest, Directory())
        await reader.read(BUCKET, start, end, hand_over)
    return found, reader


@pytest.mark.parametrize(
    ("socket", "base"),
    [
        ("wss://my.webhookrelay.com/v1/socket", "https://my.webhookrelay.com"),
        ("ws://127.0.0.1:8080/v1/socket", "http://127.0.0.1:8080"),
        ("wss://user:pass@example.com/relay/v1/socket", "https://example.com/relay"),
        ("ws://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_the_rest_interface_is_beside_the_socket(socket: str, base: str) -> None:
    assert base_url(socket) == base


async def test_a_key_and_secret_or_an_api_key(relay: ScriptedRest) -> None:
    relay.buckets = []
    for key in (KEY, "whr"):
        async with client(relay, key) as rest:
            await rest.directory()
    assert relay.authorizations == {BASIC, f"Bearer {SECRET}"}


async def test_the_relays_time_is_that_of_its_answers(relay: ScriptedRest) -> None:
    async with client(relay) as rest:
        with pytest.raises(LogUnavailable):
            await rest.directory()
        assert rest.clock is not None
        assert rest.clock.said == NOW


@pytest.mark.parametrize(
    ("answer", "error", "retry_after"),
    [
        (lambda: web.Response(status=402), LogUnavailable, None),
        (lambda: web.Response(status=404), LogUnavailable, None),
        (lambda: web.Response(status=405), LogUnavailable, None),
        (lambda: web.Response(status=401), CredentialsRefused, None),
        (lambda: web.Response(status=403), CredentialsRefused, None),
        (lambda: web.Response(status=429, headers={"Retry-After": "7"}), RelayError, 7.0),
        (lambda: web.Response(status=503), RelayError, None),
        (
            lambda: web.Response(status=302, headers={"Location": "http://evil.example/"}),
            RedirectRefused,
            None,
        ),
        (lambda: web.Response(text="<html>"), RelayError, None),
        (lambda: web.Response(body=b"[" + b"0" * 2 * MIB), AnswerTooLarge, None),
    ],
    ids=["402", "404", "405", "401", "403", "429", "503", "redirect", "no JSON", "too large"],
)
async def test_every_refusal_has_its_error(
    relay: ScriptedRest, answer: object, error: type[RelayError], retry_after: float | None
) -> None:
    assert callable(answer)
    relay.refusals.append(answer())
    async with client(relay) as rest:
        with pytest.raises(RelayError) as caught:
            await rest.page(BUCKET, NOW, NOW, limit=1, following={})
    assert type(caught.value) is error
    assert caught.value.retry_after == retry_after
    assert SECRET not in str(caught.value)


async def test_nobody_there_is_an_error_that_is_worth_another_try() -> None:
    rest = RelayRest("ws://127.0.0.1:1/v1/socket", KEY, Secret(SECRET), max_answer=MIB)
    async with rest:
        with pytest.raises(RelayError) as caught:
            await rest.directory()
    assert caught.value.retry


@pytest.mark.parametrize("descending", [False, True], ids=["oldest first", "newest first"])
@pytest.mark.parametrize("paging", ["cursor", "offset"])
async def test_pages_in_any_order_are_read_from_the_oldest_entry_on(
    relay: ScriptedRest, paging: str, *, descending: bool
) -> None:
    relay.descending, relay.paging, relay.limit = descending, paging, 7
    relay.entries = [an_entry(n, NOW + n * 3) for n in range(100)]
    found, reader = await read(relay, NOW, NOW + 300)
    assert list(dict.fromkeys(found)) == [str(n) for n in range(100)]
    assert reader.unreadable == 0
    assert all(query["bucket"] == BUCKET for query in relay.queries)


async def test_more_entries_of_one_second_than_a_page_holds_are_all_found(relay: ScriptedRest) -> None:
    relay.descending, relay.limit = True, 5
    relay.entries = [an_entry(n, int(NOW)) for n in range(23)]
    found, _ = await read(relay, NOW - 600, NOW + 600)
    assert set(found) == {str(n) for n in range(23)}


async def test_both_ways_to_write_a_time_sort_alike(relay: ScriptedRest) -> None:
    relay.descending = True
    relay.entries = [an_entry(n, NOW + n if n % 2 else rfc3339(NOW + n)) for n in range(10)]
    assert (await read(relay, NOW, NOW + 10))[0] == [str(n) for n in range(10)]


async def test_a_page_over_the_limit_is_asked_for_in_smaller_parts(relay: ScriptedRest) -> None:
    relay.entries = [an_entry(n, NOW + n, body="x" * 100_000) for n in range(30)]
    found, _ = await read(relay, NOW, NOW + 30)
    assert found == [str(n) for n in range(30)]
    assert {query["limit"] for query in relay.queries} == {"50", "12", "3"}


async def test_an_entry_over_the_limit_ends_it(relay: ScriptedRest) -> None:
    relay.entries = [an_entry(1, NOW, body="x" * 2 * MIB)]
    with pytest.raises(LogUnavailable):
        await read(relay, NOW, NOW)


async def test_an_entry_listed_without_its_body_is_asked_for(relay: ScriptedRest) -> None:
    relay.entries = [an_entry(1, NOW)]
    del relay.entries[0]["body"]
    bodies: list[str] = []

    async def hand_over(webhooks: Sequence[Webhook]) -> None:
        bodies.extend(one.text for one in webhooks)

    async with client(relay) as rest:
        await LogReader(rest, Directory()).read(BUCKET, NOW, NOW, hand_over)
    assert bodies == ["detail"]


async def test_entries_that_are_no_webhooks_are_counted(
    relay: ScriptedRest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bridge")
    relay.entries = [an_entry(1, NOW, headers=5), an_entry(2, NOW), an_entry(3, NOW, ephemeral=True)]
    found, reader = await read(relay, NOW, NOW)
    assert (found, reader.unreadable) == (["2"], 2)
    assert SECRET not in caplog.text


async def test_a_log_that_says_since_when_it_is_complete(relay: ScriptedRest) -> None:
    relay.extra = {"complete_since": NOW - 5}
    assert (await read(relay, NOW - 60, NOW))[1].complete_since == NOW - 5
