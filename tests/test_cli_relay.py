"""`relay-bridge relay`: the self-hosted relay as a process."""

import asyncio
import re
import signal
import socket
from pathlib import Path

import pytest

from bridge.relay.client import RelayClient
from tests.support.cli import run, running
from tests.support.relays import post, sender

SETTINGS = """\
listen: 127.0.0.1:1
tokens: {pi: "${RELAY_SECRET}"}
buckets:
  doorbell:
  github:
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "relay.yaml"
    path.write_text(SETTINGS)
    return path


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
async def test_it_listens_prints_its_urls_and_ends_when_told(
    file: Path, tmp_path: Path, with_signal: signal.Signals
) -> None:
    arguments = ("relay", "-c", file, "--listen", "127.0.0.1:0")
    async with running(tmp_path, *arguments, RELAY_SECRET="s3cret") as relay, sender() as session:
        text = await relay.says("bucket github: ")
        found = re.search(r"bucket doorbell: (http://127\.0\.0\.1:\d+)(/v1/webhooks/\S+)", text)
        assert found, text
        socket_url = found[1].replace("http", "ws") + "/v1/socket"
        async with RelayClient(key="pi", secret="s3cret", buckets=["doorbell"], url=socket_url) as client:
            webhook = asyncio.create_task(anext(client))
            await client.subscribed()
            assert await post(session, found[1] + found[2], b"ring") == 200
            assert (await webhook).text == "ring"
        assert await relay.stop(with_signal) == 0
        assert "s3cret" not in relay.text


def test_settings_that_can_not_be_used_are_told_with_their_places(file: Path) -> None:
    file.write_text(SETTINGS.replace("tokens", "tokns").replace("127.0.0.1:1", "here"))
    done = run("relay", "-c", file, RELAY_SECRET="s3cret")
    assert (done.status, done.out) == (78, "")
    assert f"{file}:1:9: error: " in done.err
    assert f"{file}:2:1: error: " in done.err


def test_settings_that_are_not_there(tmp_path: Path) -> None:
    done = run("relay", "-c", tmp_path / "none.yaml")
    assert done.status == 78
    assert (
        done.err
        == f"relay-bridge: {tmp_path}/none.yaml:1:1: error: can't be read: No such file or directory\n"
    )


def test_an_address_that_is_taken_is_one_line(file: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("relay", "-c", file, "--listen", address, RELAY_SECRET="s3cret")
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[-1].startswith("relay-bridge: cannot listen")
    assert "in use" in done.err
