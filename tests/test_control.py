"""The control socket, spoken to over the socket itself."""

import asyncio
import http.client
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.control import MAX_REQUEST, ControlError, ControlSocket, ControlUnavailable


async def echo(request: Mapping[str, object]) -> Mapping[str, object]:
    return {"got": dict(request)}


async def refuse(_request: Mapping[str, object]) -> Mapping[str, object]:
    raise ControlError("there is no such dead letter")


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[ControlSocket]:
    control = ControlSocket(path, {"echo": echo, "refuse": refuse})
    await control.start()
    try:
        yield control
    finally:
        await control.close()


async def ask(path: Path, command: str, body: bytes = b"", method: str = "POST") -> tuple[int, Any]:
    def speak() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        try:
            connection.request(method, f"/{command}", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    status, answer = await asyncio.to_thread(speak)
    return status, json.loads(answer) if answer.startswith(b"{") else answer


async def test_a_command_has_its_answer(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as control:
        assert await ask(control.path, "echo", b'{"id": 5}') == (200, {"got": {"id": 5}})
        assert await ask(control.path, "echo") == (200, {"got": {}})


@pytest.mark.parametrize(
    ("command", "body", "status", "error"),
    [
        ("dance", b"{}", 404, "no such command"),
        ("echo", b"[1]", 400, "a JSON object is expected"),
        ("echo", b"{", 400, "the request is not JSON"),
        ("echo", b"\xff\xfe", 400, "the request is not JSON"),
        ("refuse", b"{}", 409, "there is no such dead letter"),
    ],
)
async def test_what_can_not_be_done_is_said(
    tmp_path: Path, command: str, body: bytes, status: int, error: str
) -> None:
    async with serving(tmp_path / "control.sock") as control:
        assert await ask(control.path, command, body) == (status, {"error": error})


async def test_other_methods_and_huge_requests_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as control:
        assert (await ask(control.path, "echo", method="GET"))[0] == 405
        assert (await ask(control.path, "echo", b'"' + b"x" * MAX_REQUEST + b'"'))[0] == 413
        assert await ask(control.path, "echo", b'{"still": "there"}') == (200, {"got": {"still": "there"}})


async def test_the_socket_is_its_owners_alone(tmp_path: Path) -> None:
    async with serving(tmp_path / "run" / "control.sock") as control:
        assert stat.S_IMODE(control.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(control.path.parent.stat().st_mode) == 0o700


async def test_what_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    async with serving(path):
        assert (await ask(path, "echo"))[0] == 200


async def test_closing_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path) as control:
        pass
    assert not path.exists()
    await control.close()


async def test_one_that_never_started_leaves_anothers_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        await ControlSocket(path, {}).close()
        assert (await ask(path, "echo"))[0] == 200


async def test_a_path_that_is_too_long_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ControlUnavailable, match="too long"):
        await ControlSocket(tmp_path / ("x" * 120) / "control.sock", {}).start()


async def test_a_folder_that_can_not_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ControlUnavailable, match=f"{tmp_path}/run/control.sock: "):
        await ControlSocket(tmp_path / "run" / "control.sock", {}).start()


async def test_a_client_that_says_nothing_does_not_delay_the_close(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        async with asyncio.timeout(5):
            async with serving(path):
                silent.connect(os.fspath(path))
                assert (await ask(path, "echo"))[0] == 200
