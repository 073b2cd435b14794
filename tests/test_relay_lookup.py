"""Webhooks of a relay's log for an operator, at a REST interface that lists as it is told."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge.errors import CredentialsRefused, RelayError
from bridge.relay import lookup
from bridge.relay.lookup import NotInLog, between, by_ids
from tests.support.rest import BUCKET, NOW, SECRET, ScriptedRest, an_entry, scripted_rest

OTHER = {
    "id": BUCKET,
    "name": "doorbell",
    "inputs": [{"id": "input-id", "name": "front"}],
    "outputs": [{"id": "public", "name": "cloud", "destination": "https://cloud.example", "internal": False}],
}


@pytest.fixture(name="relay")
async def _relay() -> AsyncIterator[ScriptedRest]:
    async with scripted_rest() as relay:
        relay.buckets = [OTHER]
        yield relay


async def test_webhooks_are_found_by_their_ids_in_the_order_asked_for(relay: ScriptedRest) -> None:
    relay.entries = [an_entry(number) for number in range(5)]
    found = await by_ids(relay.settings, ["3", "1"])
    assert [(one.id, one.raw, one.bucket, one.input) for one in found] == [
        ("3", b"3", "doorbell", "front"),
        ("1", b"1", "doorbell", "front"),
    ]
    assert all(one.late for one in found)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (an_entry(7), "1 is not in the relay's log"),
        (an_entry(1, output_id="public"), "1 went to another output, or the relay rejected it"),
        (an_entry(1, status="rejected"), "1 went to another output, or the relay rejected it"),
        (an_entry(1, ephemeral=True), "1 can't be taken from the relay's log: the relay keeps no content"),
    ],
    ids=["unknown", "public output", "rejected", "ephemeral"],
)
async def test_what_can_not_be_found_is_said(relay: ScriptedRest, entry: dict[str, object], why: str) -> None:
    relay.entries = [entry]
    with pytest.raises(NotInLog) as caught:
        await by_ids(relay.settings, ["1"])
    assert str(caught.value).startswith(why)
    assert not caught.value.retry


@pytest.mark.parametrize("descending", [False, True], ids=["oldest first", "newest first"])
async def test_the_span_ends_now_by_the_relays_time(relay: ScriptedRest, *, descending: bool) -> None:
    assert abs(NOW - time.time()) > 3600, "the relay's clock is not this machine's"
    relay.descending, relay.limit = descending, 3
    relay.entries = [an_entry(number, NOW - 95 + 10 * number) for number in range(10)]
    found = await between(relay.settings, 60.0)
    assert [one.id for one in found] == ["4", "5", "6", "7", "8", "9"]
    assert [one.received_at for one in found] == [NOW - 55 + 10 * number for number in range(6)]


async def test_only_subscribed_buckets_are_read_by_name_or_id(relay: ScriptedRest) -> None:
    relay.entries = [an_entry(1)]
    for buckets in ((BUCKET,), ("doorbell",), None):
        assert len(await between(replace(relay.settings, buckets=buckets), 60.0)) == 1
    assert await between(replace(relay.settings, buckets=("garage",)), 60.0) == []
    assert {query["bucket"] for query in relay.queries} == {BUCKET}


async def test_too_many_are_refused(relay: ScriptedRest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "MOST", 5)
    relay.entries = [an_entry(number) for number in range(6)]
    with pytest.raises(NotInLog, match="more than 5 webhooks: say a shorter time"):
        await between(relay.settings, 60.0)
    relay.entries.pop()
    assert len(await between(relay.settings, 60.0)) == 5


async def test_a_relay_that_refuses_is_an_error_without_the_secret(relay: ScriptedRest) -> None:
    wrong = replace(relay.settings, url="ws://127.0.0.1:1/v1/socket")
    for error in (by_ids(wrong, ["1"]), between(wrong, 1.0)):
        with pytest.raises(RelayError) as caught:
            await error
        assert SECRET not in str(caught.value)
        assert not isinstance(caught.value, NotInLog | CredentialsRefused)
