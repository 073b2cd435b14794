"""Encryption of the state folder."""

import base64
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.secret import Secret
from bridge.selfhosted import shelf, store
from bridge.selfhosted.history import Frame, Origin, Query
from bridge.selfhosted.resources import MIB, Settings
from bridge.selfhosted.server import SelfHostedRelay
from bridge.selfhosted.shelf import Shelf
from bridge.selfhosted.tables import Tables
from bridge.selfhosted.vault import Locked, VaultError, parse_key, vault_of
from bridge.selfhosted.wire import text_frame
from tests.support.canary import files_with
from tests.support.relay_clients import bodies, interface, running, settings_of, subscribed

CANARY = "canary-0b9d3c1f2a115e4f-canary"
KEY = Secret(base64.b64encode(bytes(range(32))).decode())
OTHER = Secret(base64.b64encode(bytes(32)).decode())
LOCKED = Locked(os.urandom(32))


def settings(state: Path, key: Secret | None = KEY) -> Settings:
    return replace(settings_of("a"), state=state, state_key=key)


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_can_be_opened_at_its_place(data: bytes, place: str) -> None:
    sealed = LOCKED.seal(data, place)
    assert LOCKED.open(sealed, place) == data
    assert LOCKED.seal(data, place) != sealed, "a nonce of its own"
    assert len(data) < 4 or data not in sealed


@given(st.data())
def test_whatever_is_changed_is_noticed(data: st.DataObject) -> None:
    sealed = LOCKED.seal(b"content", "place")
    where = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[where] ^= data.draw(st.integers(1, 255))
    for record in (bytes(changed), sealed[:where], b""):
        with pytest.raises(VaultError):
            LOCKED.open(record, "place")


def test_another_key_or_place_opens_nothing() -> None:
    vault = vault_of(KEY)
    sealed = vault.seal(b"content", "place")
    assert vault_of(KEY).open(sealed, "place") == b"content", "as the next process does"
    for other, place in ((vault_of(OTHER), "place"), (vault, "elsewhere")):
        with pytest.raises(VaultError):
            other.open(sealed, place)


@pytest.mark.parametrize("text", ["", "-", "ä", "c2hvcnQ=", base64.b64encode(bytes(33)).decode(), "A" * 44])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(VaultError, match="32 bytes in base64 are needed"):
        parse_key(text)


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(VaultError, match=r"relay-bridge\[encryption\]"):
        vault_of(KEY)
    assert not vault_of(None).is_locked


# The relay


async def fill(relay: SelfHostedRelay) -> None:
    """With webhooks and resources that all say the same."""
    url = f"{relay.webhook_url('a')}/{CANARY}?q={CANARY}"
    async with aiohttp.ClientSession() as http:
        for body in (CANARY.encode(), CANARY.encode() + b"\xff"):
            async with http.put(url, data=body, headers={"X-It": CANARY}) as answer:
                assert answer.status == 200
    auth = {"type": "token", "token": CANARY}
    async with interface(relay) as http:
        bucket = {"name": "made", "auth": auth, "description": CANARY}
        async with http.post("/v1/buckets", json=bucket) as answer:
            assert answer.status == 201
        output = {"name": "o", "destination": "http://x/", "headers": {"X-Key": CANARY}}
        async with http.post("/v1/buckets/made/outputs", json=output) as answer:
            assert answer.status == 201


async def test_nothing_that_came_or_was_made_can_be_read_on_the_disk(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as relay:
        await fill(relay)
        assert files_with(tmp_path, CANARY) == []
    assert files_with(tmp_path, CANARY) == []
    async with running(settings(tmp_path)) as relay:
        client = await subscribed(relay, ["a"])
        assert await bodies(client, 2) == [CANARY, f"{CANARY}\ufffd"]
        await client.close()
        async with interface(relay) as http:
            async with http.get("/v1/logs") as answer:
                (entry, _) = (await answer.json())["data"]
            assert (entry["raw_query"], entry["extra_path"]) == (f"q={CANARY}", f"/{CANARY}")
            assert entry["ip_address"] == "127.0.0.1"
            async with http.get("/v1/buckets/made") as answer:
                assert (await answer.json())["description"] == CANARY


async def test_the_search_finds_what_is_not_encrypted(tmp_path: Path) -> None:
    async with running(settings(tmp_path, None)) as relay:
        await fill(relay)
    assert files_with(tmp_path, CANARY) == ["relay.db", "resources.db"]


@pytest.mark.parametrize(
    ("first", "then", "problem"),
    [
        (KEY, None, "it is encrypted: the state_key is needed"),
        (KEY, OTHER, "it is encrypted with another state_key"),
        (None, KEY, "it is not encrypted, so it can't be used with a state_key"),
    ],
)
async def test_a_state_of_another_key_is_an_error_and_stays_as_it_was(
    tmp_path: Path, first: Secret | None, then: Secret | None, problem: str
) -> None:
    async with running(settings(tmp_path, first)) as relay:
        await fill(relay)
    relay = SelfHostedRelay(settings(tmp_path, then))
    with pytest.raises(VaultError, match=f"resources.db.*{problem}"):
        await relay.start()
    (tmp_path / shelf.FILE).rename(tmp_path / "away")
    with pytest.raises(VaultError, match=f"relay.db.*{problem}"):
        await SelfHostedRelay(settings(tmp_path, then)).start()
    (tmp_path / "away").rename(tmp_path / shelf.FILE)
    async with (
        running(settings(tmp_path, first)) as relay,
        interface(relay) as http,
        http.get("/v1/logs") as answer,
    ):
        assert len((await answer.json())["data"]) == 2


# Rows that somebody changed


def tables(folder: Path) -> Tables:
    return Tables(folder / store.FILE, most_bytes=MIB, longest=3600.0, now=1e9, vault=vault_of(KEY))


def seen(table: Tables) -> list[str]:
    query = Query(frozenset("ab"), 0.0, 4e9, 0, 100, MIB)
    return [one.origin.id for one in table.select(query).frames]


def frame(position: int) -> Frame:
    origin = Origin(f"id-{position}", 1e9 + position / 3, "/p", "192.0.2.1")
    return Frame(position, 0.0, "a", text_frame(str(position)), origin)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE frames SET wire = (SELECT wire FROM frames WHERE id = 'id-1') WHERE id = 'id-2'",
        "UPDATE frames SET bucket = 'b' WHERE id = 'id-2'",
        "UPDATE frames SET created = created + 1 WHERE id = 'id-2'",
        "UPDATE frames SET internal = 0 WHERE id = 'id-2'",
        "UPDATE frames SET position = 7 WHERE id = 'id-2'",
        "UPDATE frames SET wire = x'00' WHERE id = 'id-2'",
    ],
)
def test_a_row_that_was_changed_is_left_out_and_told_once(
    tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = tables(tmp_path)
    table.commit([frame(1), frame(2), frame(3)], None, 1e9)
    assert seen(table) == ["id-1", "id-2", "id-3"]
    table.close()
    with closing(sqlite3.connect(tmp_path / store.FILE)) as database, database:
        database.execute(change)
    table = tables(tmp_path)
    assert seen(table) == seen(table) == ["id-1", "id-3"]
    assert table.find("id-2") is None
    assert len(table.newest(0.0, 10, MIB)) == 2
    table.close()
    assert caplog.text.count("'id-2' of the log is left out") == 1


def test_a_log_is_bounded_by_what_it_takes_when_it_is_sealed(tmp_path: Path) -> None:
    """And by the same after a restart."""
    table = Tables(tmp_path / store.FILE, most_bytes=2000, longest=3600.0, now=1e9, vault=vault_of(KEY))
    table.commit([frame(number) for number in range(1, 11)], None, 1e9)
    kept = len(seen(table))
    assert 2 <= kept < 6
    table.close()
    table = Tables(tmp_path / store.FILE, most_bytes=2000, longest=3600.0, now=1e9, vault=vault_of(KEY))
    table.commit([frame(number) for number in range(11, 14)], None, 1e9)
    assert len(seen(table)) == kept
    table.close()


def test_a_document_is_bound_to_its_place(tmp_path: Path) -> None:
    kept = Shelf(tmp_path, vault_of(KEY))
    kept.put("token", "one", {"active": False})
    kept.put("token", "two", {"active": True})
    assert kept.read("token") == {"one": {"active": False}, "two": {"active": True}}
    with closing(sqlite3.connect(tmp_path / shelf.FILE)) as database, database:
        database.execute(
            "UPDATE resources SET document ="
            " (SELECT document FROM resources WHERE id = 'two') WHERE id = 'one'"
        )
    with pytest.raises(VaultError, match="for another place"):
        kept.read("token")
