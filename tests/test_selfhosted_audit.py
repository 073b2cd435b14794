"""Who changed what: recorded with the change, never with a secret."""

import base64
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.secret import Secret
from bridge.selfhosted import hashes, shelf
from bridge.selfhosted.audit import AUTHOR, Author, change_of
from bridge.selfhosted.resources import Settings, Token
from bridge.selfhosted.server import SelfHostedRelay
from bridge.selfhosted.shelf import Shelf
from bridge.selfhosted.vault import vault_of
from tests.support.canary import files_with
from tests.support.cli import call
from tests.support.relay_clients import TOKEN, interface, running, settings_of

KEY = Secret(base64.b64encode(bytes(range(32))).decode())
CANARY = "canary-4f1e2a8c6b7d9035-canary"


@pytest.fixture(autouse=True)
def _fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "COST", 4)


def settings(state: Path | None, key: Secret | None = None) -> Settings:
    return replace(settings_of("a"), state=state, state_key=key)


async def change_everything(relay: SelfHostedRelay) -> list[str]:
    """The IDs of a bucket, an input and a token that were there."""
    auth = {"type": "token", "token": CANARY}
    async with interface(relay) as http:
        async with http.post("/v1/buckets", json={"name": "made", "auth": auth}) as answer:
            bucket = await answer.json()
        headers = {"X-Key": CANARY}
        async with http.post("/v1/buckets/made/inputs", json={"name": "in", "headers": headers}) as answer:
            entry = (await answer.json())["id"]
        await http.put(
            "/v1/buckets/made", json={"auth": {"type": "basic", "username": "u", "password": CANARY}}
        )
        await http.delete("/v1/buckets/made/inputs/in")
        async with http.post("/v1/tokens", json={"description": "shed"}) as answer:
            token = await answer.json()
    async with interface(relay, Token(token["key"], Secret(token["secret"]))) as http:
        await http.put(f"/v1/tokens/{token['key']}", json={"active": False})
    async with interface(relay) as http:
        await http.delete(f"/v1/tokens/{token['key']}")
        await http.delete("/v1/buckets/made")
        await http.delete("/v1/buckets/made")  # nothing happens
    return [bucket["id"], entry, token["key"], token["secret"]]


def brief(change: dict[str, Any]) -> tuple[Any, ...]:
    return change["by"], change["action"], change["kind"], change["id"], change["name"], change["fields"]


@pytest.mark.parametrize("key", [None, KEY])
async def test_each_change_is_recorded_with_who_made_it(
    tmp_path: Path, key: Secret | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bridge")
    async with running(settings(tmp_path, key)) as relay:
        bucket, entry, token, secret = await change_everything(relay)
    changes = Shelf(tmp_path, vault_of(key)).changes()
    me = TOKEN.key
    assert [brief(one) for one in changes] == [
        (me, "create", "bucket", bucket, "made", []),
        (me, "change", "bucket", bucket, "made", [f"inputs/{entry}"]),
        (me, "change", "bucket", bucket, "made", ["auth"]),
        (me, "change", "bucket", bucket, "made", [f"inputs/{entry}"]),
        (me, "create", "token", token, "shed", []),
        (token, "change", "token", token, "shed", ["active"]),
        (me, "remove", "token", token, "shed", []),
        (me, "remove", "bucket", bucket, "made", []),
    ]
    assert {one["address"] for one in changes} == {"127.0.0.1"}
    lines = [one.getMessage() for one in caplog.records if one.name == "bridge.selfhosted.audit"]
    assert len(lines) == 8
    assert lines[2] == (
        f"action=change kind=bucket id='{bucket}' name='made' fields='auth' by='{me}' address=127.0.0.1"
    )
    for hidden in (CANARY, secret, TOKEN.secret.reveal()):
        assert hidden not in caplog.text
        assert hidden not in json.dumps(changes)
    assert ("resources.db" in files_with(tmp_path, entry)) == (key is None)


async def test_without_a_state_the_log_alone_tells(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bridge.selfhosted.audit")
    async with running(settings(None)) as relay:
        await change_everything(relay)
    assert len([one for one in caplog.records if one.name == "bridge.selfhosted.audit"]) == 8


def test_a_change_that_is_not_made_leaves_no_record(tmp_path: Path) -> None:
    kept = Shelf(tmp_path)
    kept.put("bucket", "b", {"name": "b"})
    with pytest.raises(TypeError):
        kept.put("bucket", "b", {"name": object()})
    assert len(kept.changes()) == 1


def test_the_records_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MOST", 3)
    kept = Shelf(tmp_path)
    for number in range(5):
        kept.put("bucket", str(number), {"name": str(number)})
    assert [one["name"] for one in kept.changes()] == ["2", "3", "4"]


def test_names_can_not_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bridge.selfhosted.audit")
    AUTHOR.set(Author("a\nby=root", "192.0.2.1"))
    change_of("bucket", "b", None, {"name": "x' by='root'\x1b[31m\n"}).tell()
    (line,) = (one.getMessage() for one in caplog.records)
    assert line == (
        "action=create kind=bucket id='b' name=\"x' by='root'\\x1b[31m\\n\" fields='' by='a\\nby=root'"
        " address=192.0.2.1"
    )


def test_the_command_line_is_an_author_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    file = tmp_path / "relay.yaml"
    file.write_text(f"state: {tmp_path}/state\n")
    for words in (("bucket", "create", "github"), ("bucket", "remove", "github")):
        assert call("relay", "-c", file, *words).status == 0
    lines = call("relay", "-c", file, "audit").out.splitlines()
    found = [json.loads(one) for one in lines]
    assert [(one["by"], one["action"], one["name"]) for one in found] == [
        ("ada (command line)", "create", "github"),
        ("ada (command line)", "remove", "github"),
    ]
