"""The service's published JavaScript example, unchanged, against the self-hosted relay."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.selfhosted.resources import Bucket, Output
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.relay_clients import TOKEN, running, settings_of
from tests.support.waiting import eventually

WS = "ws@8"
EXAMPLE = Path(__file__).parent / "published_client.js"
CACHE = Path("~/.cache/relay-bridge-tests/node").expanduser() / WS.replace("@", "-")

# The example was written for a `ws` that gave text; today's gives a Buffer, which console.log shows in hex.
SHOW_TEXT = "const log = console.log; console.log = (...all) => log(...all.map((one) => `${one}`));\n"


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """A folder with the `ws` package, installed once for this user."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is needed to run the service's published example: install Node.js")
    if not (CACHE / "node_modules/ws/package.json").exists():
        _install(CACHE)
    return CACHE / "node_modules"


def _install(folder: Path) -> None:
    """Install beside the folder and rename: another test run may be doing the same."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    command = ["npm", "install", "--prefix", str(made), "--no-audit", "--no-fund", "--ignore-scripts", WS]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    if done.returncode != 0:
        shutil.rmtree(made)
        pytest.fail(f"npm could not install {WS}: {done.stderr.strip()[-500:]}")
    try:
        made.rename(folder)
    except OSError:  # the other one was faster
        shutil.rmtree(made)


class Client:
    """The running example, and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self._process = process
        self._reading = asyncio.create_task(self._read())

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(one) for one in self.lines if one.startswith("{")]

    @property
    def webhooks(self) -> list[dict[str, Any]]:
        return [one for one in self.frames if one["type"] == "webhook"]

    async def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(line.decode().rstrip("\n"))


@pytest.fixture
def start(node_modules: Path, tmp_path: Path) -> Callable[[SelfHostedRelay], Any]:
    """Starts the example against a relay."""
    preload = tmp_path / "show_text.js"
    preload.write_text(SHOW_TEXT)

    @asynccontextmanager
    async def started(relay: SelfHostedRelay) -> AsyncIterator[Client]:
        variables = {
            "RELAY_SERVER": relay.socket_url,
            "RELAY_KEY": TOKEN.key,
            "RELAY_SECRET": TOKEN.secret.reveal(),
            "NODE_PATH": str(node_modules),
        }
        process = await asyncio.create_subprocess_exec(
            "node",
            "--require",
            str(preload),
            str(EXAMPLE),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **variables},
        )
        client = Client(process)
        try:
            yield client
        finally:
            await client.close()

    return started


async def put(relay: SelfHostedRelay, body: str) -> None:
    """The request of the service's own sample."""
    headers = {"Content-Type": "application/json", "User-Agent": "insomnia/6.0.2"}
    async with aiohttp.ClientSession() as http:
        url = relay.webhook_url("my-bucket") + "?foo=bar"
        async with http.put(url, data=body.encode(), headers=headers) as answer:
            assert (answer.status, await answer.read()) == (200, b"")


def status(name: str, message: str) -> dict[str, str]:
    return {"type": "status", "status": name, "message": message}


async def test_the_published_example_gets_the_documented_frames(start: Callable[..., Any]) -> None:
    bucket = Bucket.named(
        "my-bucket", outputs=[Output("111", "http://localhost:8080"), Output("22", "http://h")]
    )
    async with running(settings_of(bucket, "other")) as relay, start(relay) as client:
        await eventually(lambda: relay.subscribers == 1, 20)
        await put(relay, '{"hi": "there <&> é😀"}')
        await eventually(lambda: len(client.webhooks) == 2)
        first, second = client.webhooks

        assert client.lines[0] == "connected, sending authentication request"
        assert client.frames[:2] == [
            status("authenticated", "connected successfully, subscribe to buckets"),
            status("subscribed", "subscribed to buckets: my-bucket"),
        ]
        assert set(first) == {"type", "meta", "headers", "query", "body", "method"}
        assert (first["query"], first["method"]) == ("foo=bar", "PUT")
        assert first["body"] == '{"hi": "there <&> é😀"}'
        assert first["headers"]["Content-Type"] == ["application/json"]
        assert first["headers"]["User-Agent"] == ["insomnia/6.0.2"]
        assert "Host" not in first["headers"]
        assert first["meta"].pop("id") != second["meta"].pop("id")
        assert first["meta"] == {
            "bucked_id": bucket.id,
            "bucket_name": "my-bucket",
            "input_id": bucket.inputs[0].id,
            "input_name": "Default public endpoint",
            "output_name": "111",
            "output_destination": "http://localhost:8080",
        }
        assert (second["meta"]["output_name"], second["meta"]["output_destination"]) == ("22", "http://h")


async def test_the_published_example_survives_a_restart_of_the_relay(start: Callable[..., Any]) -> None:
    async with running(settings_of("my-bucket")) as relay:
        port = relay.port
        async with start(relay) as client:
            await eventually(lambda: relay.subscribers == 1, 20)
            await put(relay, "before")
            await eventually(lambda: client.webhooks)
            await relay.close()
            await eventually(lambda: "socket closed, reconnecting" in client.lines)
            async with running(settings_of("my-bucket"), port) as again:
                await put(again, "while it was away")
                await eventually(lambda: again.subscribers == 1, 20)
                await put(again, "after")
                await eventually(lambda: len(client.webhooks) == 3)
            bodies = [one["body"] for one in client.webhooks]
            assert bodies == ["before", "while it was away", "after"]
            assert client.webhooks[-1]["meta"]["output_destination"] == "/"
