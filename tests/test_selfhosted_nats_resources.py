"""What the interface made, shared by every process and the command line."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.cli.relay import command
from bridge.secret import Secret
from bridge.selfhosted.nats import connection
from bridge.selfhosted.resources import Token
from bridge.selfhosted.shelf import ShelfError
from tests.support.nats import NatsServer, on
from tests.support.relay_clients import bodies, interface, post, running, subscribed
from tests.support.waiting import eventually


@pytest.fixture(name="nats")
async def _nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


async def test_what_is_made_at_one_process_is_served_by_the_others(nats: NatsServer) -> None:
    settings = on(nats, "declared")
    async with running(settings) as here, running(settings) as there, interface(here) as http:
        async with http.post("/v1/buckets", json={"name": "made"}) as answer:
            assert answer.status == 201
        await eventually(lambda: there.registry.catalog.bucket("made"))
        client = await subscribed(there, ["made"])
        await post(there, "made", "hello")
        assert await bodies(client, 1) == ["hello"]
        async with http.post("/v1/tokens", json={"description": "shed"}) as answer:
            made = await answer.json()
        await eventually(lambda: there.registry.catalog.token(made["key"]))
        shed = Token(made["key"], Secret(made["secret"]))
        assert await bodies(await subscribed(there, ["made"], shed), 1) == ["hello"]
        async with http.delete("/v1/buckets/made") as answer:
            assert answer.status == 200
        await eventually(lambda: there.registry.catalog.bucket("made") is None)
    async with running(settings) as later:  # a process that starts finds it too
        assert later.registry.catalog.token(made["key"]) is not None
        assert later.registry.catalog.bucket("made") is None


async def test_what_is_declared_wins_over_what_was_made(nats: NatsServer) -> None:
    async with (
        running(on(nats, "a")) as relay,
        interface(relay) as http,
        http.post("/v1/buckets", json={"name": "b"}) as answer,
    ):
        made = await answer.json()
    async with running(on(nats, "a", "b")) as relay:
        bucket = relay.registry.catalog.bucket("b")
        assert bucket is not None
        assert relay.registry.catalog.is_declared(bucket)
        assert bucket.id != made["id"]


async def test_nobody_overwrites_what_another_process_changed_in_between(nats: NatsServer) -> None:
    settings = on(nats, "a")
    async with running(settings) as here, running(settings) as there:
        shelf = here.registry._shelf  # the race can't be had through the interface
        await asyncio.to_thread(shelf.put, "bucket", "x", {"id": "x", "name": "1"})
        stale = there.registry._shelf  # as above
        await eventually(lambda: stale.read("bucket"))
        await there._engine.shelf.close()  # type: ignore[attr-defined]  # it follows no more
        await asyncio.to_thread(shelf.put, "bucket", "x", {"id": "x", "name": "2"})
        with pytest.raises(ShelfError, match="at the same time"):
            await asyncio.to_thread(stale.put, "bucket", "x", {"id": "x", "name": "3"})
        assert shelf.read("bucket")["x"]["name"] == "2"


async def test_who_changed_what_is_known(tmp_path: Path, nats: NatsServer) -> None:
    async with (
        running(on(nats, "a")) as relay,
        interface(relay) as http,
        http.post("/v1/buckets", json={"name": "made"}) as answer,
    ):
        made = await answer.json()
    file = tmp_path / "relay.yaml"
    file.write_text(f"engine: {{nats: '{nats.url}'}}\n")
    await said(file, "bucket", "remove", "made")
    result = await asyncio.to_thread(run, file, "audit")
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["action"], first["id"], first["by"]) == ("create", made["id"], "pi")
    assert (second["action"], second["id"]) == ("remove", made["id"])
    assert second["by"].endswith("(command line)")


async def test_an_ephemeral_bucket_is_refused(nats: NatsServer) -> None:
    async with (
        running(on(nats, "a")) as relay,
        interface(relay) as http,
        http.post("/v1/buckets", json={"name": "made", "ephemeral": True}) as answer,
    ):
        assert answer.status == 400
        assert "NATS" in (await answer.json())["error"]


# The command line


def run(file: Path, *arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(command, ["-c", str(file), *arguments], input=given)


async def said(file: Path, *arguments: str, given: str | None = None) -> Any:
    result = await asyncio.to_thread(run, file, *arguments, given=given)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if result.stdout else None


async def test_a_relay_moves_onto_nats_with_all_its_ids(tmp_path: Path, nats: NatsServer) -> None:
    small, large = tmp_path / "small.yaml", tmp_path / "large.yaml"
    small.write_text(f"state: {tmp_path}/state\n")
    large.write_text(f"engine: {{nats: '{nats.url}'}}\n")
    token = await said(small, "token", "create", "--description", "shed")
    bucket = await said(small, "bucket", "create", "doorbell")
    await said(small, "input", "create", "doorbell", "back door", "--path", "/back")
    exported = await said(small, "export")
    await said(large, "import", "-", given=json.dumps(exported))
    assert await said(large, "export") == exported
    assert [one["id"] for one in await said(large, "bucket", "list")] == [bucket["id"]]
    async with running(on(nats)) as relay:
        shed = Token(token["key"], Secret(token["secret"]))
        client = await subscribed(relay, ["doorbell"], shed)
        assert relay.webhook_url("doorbell").endswith(exported["buckets"][0]["inputs"][0]["id"])
        await post(relay, "doorbell", "hello")
        assert await bodies(client, 1) == ["hello"]
        await said(large, "bucket", "create", "gate")
        await eventually(lambda: relay.registry.catalog.bucket("gate"))


async def test_the_command_line_says_that_nats_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    file = tmp_path / "relay.yaml"
    file.write_text("engine: {nats: 'nats://127.0.0.1:1', user: relay, password: s3cr3t}\n")
    result = await asyncio.to_thread(run, file, "bucket", "list")
    assert "NATS can't be used" in str(result.exception)
    assert "s3cr3t" not in str(result.exception) + result.output
