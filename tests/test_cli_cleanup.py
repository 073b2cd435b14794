"""`relay-bridge cleanup`, where it can do nothing; what it does is shown with a real bridge."""

import asyncio
from pathlib import Path

import pytest

from bridge.cli import cleanup
from tests.support.cli import call
from tests.support.mosquitto import Broker, free_port

HEAD = "relay: {key: a, secret: b}\nroutes: []\n"


def routing(folder: Path, port: int, status: str = "status: {broker: home}\n") -> Path:
    file = folder / "bridge.yaml"
    file.write_text(f"{HEAD}brokers: {{home: {{url: 'mqtt://127.0.0.1:{port}'}}}}\n{status}")
    return file


def test_a_file_without_status_names_no_broker(tmp_path: Path) -> None:
    done = call("cleanup", "-c", routing(tmp_path, 1, ""))
    assert done.status == 78
    assert "has no `status`" in done.err


def test_a_broken_file_is_78(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("routes: 5\n")
    done = call("cleanup", "-c", file)
    assert done.status == 78
    assert "error[E" in done.err


def test_a_broker_that_is_away_is_69(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "WAIT_SECONDS", 0.5)
    port = free_port()
    done = call("cleanup", "-c", routing(tmp_path, port))
    assert (done.status, done.out) == (69, "")
    (line,) = [line for line in done.err.splitlines() if line.startswith("relay-bridge: ")]
    assert line.startswith(f"relay-bridge: mqtt:home at 127.0.0.1:{port}: cannot connect")


async def test_nothing_to_clear_is_no_error(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker:
        done = await asyncio.to_thread(call, "cleanup", "-c", routing(tmp_path, broker.port))
    assert (done.status, done.out) == (0, "")
    assert done.err.splitlines()[-1] == f"0 retained topics cleared at 127.0.0.1:{broker.port}"
