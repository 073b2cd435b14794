"""Requests by MQTT: what is malformed is refused, and the answer carries the caller's mark."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.control import Answer, ControlError
from bridge.home.commands import COMMANDS, LONGEST_REQUEST, MOST_WAITING, Commands, Refused, parse
from tests.support.waiting import eventually


class Rig:
    """Commands whose handlers answer with what they were asked."""

    def __init__(self) -> None:
        self.replies: list[tuple[str, dict[str, Any]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        handlers = dict.fromkeys(COMMANDS.values(), self._handle)
        self.commands = Commands(handlers, self._handle, self._reply)

    async def _handle(self, fields: Mapping[str, object]) -> Answer:
        await self.gate.wait()
        if "fail" in fields:
            raise ControlError("no such target")
        if "wrong" in fields:
            problem = {
                "file": "a.yaml",
                "line": 1,
                "column": 2,
                "message": "bad",
                "source": "password: s3cret",
            }
            return {"ok": False, "problems": [problem]}
        return {"asked": dict(fields)}

    def _reply(self, command: str, payload: bytes) -> None:
        self.replies.append((command, json.loads(payload)))

    async def ask(self, command: str, payload: bytes) -> dict[str, Any]:
        count = len(self.replies)
        self.commands.take(command, payload)
        await eventually(lambda: len(self.replies) > count)
        name, answer = self.replies[-1]
        assert name == command
        return answer


@asynccontextmanager
async def running() -> AsyncIterator[Rig]:
    rig = Rig()
    task = asyncio.create_task(rig.commands.run())
    yield rig
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("command", ["health", *COMMANDS])
async def test_a_command_is_answered_with_the_callers_mark(command: str) -> None:
    async with running() as rig:
        answer = await rig.ask(command, b'{"target": "mqtt:home", "transaction": 5}')
        assert answer == {"status": "ok", "data": {"asked": {"target": "mqtt:home"}}, "transaction": 5}
        assert await rig.ask(command, b"") == {"status": "ok", "data": {"asked": {}}}


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"5", "not a JSON object"),
        (b'{"transaction": {}}', "transaction"),
        (b'{"transaction": true}', "transaction"),
        (b'{"transaction": "' + b"x" * 201 + b'"}', "transaction"),
        (b" " * (LONGEST_REQUEST + 1), "longer"),
    ],
)
async def test_a_malformed_request_is_an_error_and_no_more(payload: bytes, error: str) -> None:
    async with running() as rig:
        answer = await rig.ask("reload", payload)
        assert (answer["status"], answer["data"]) == ("error", {})
        assert error in answer["error"]
        assert (await rig.ask("reload", b"{}"))["status"] == "ok"


async def test_what_a_handler_refuses_is_an_error_with_the_mark() -> None:
    async with running() as rig:
        answer = await rig.ask("pause", b'{"fail": 1, "transaction": "a"}')
    assert answer == {"status": "error", "error": "no such target", "data": {}, "transaction": "a"}


async def test_no_line_of_the_routing_file_is_told() -> None:
    async with running() as rig:
        answer = await rig.ask("check", b'{"wrong": 1}')
    assert answer["data"]["problems"] == ["a.yaml:1:2: bad"]
    assert "s3cret" not in json.dumps(answer)


async def test_unknown_commands_are_not_answered() -> None:
    async with running() as rig:
        rig.commands.take("dead-purge", b"{}")
        rig.commands.take("", b"{}")
        await rig.ask("reload", b"{}")
    assert [name for name, _ in rig.replies] == ["reload"]


async def test_only_so_many_requests_wait() -> None:
    async with running() as rig:
        rig.gate.clear()
        for _ in range(MOST_WAITING + 5):
            rig.commands.take("reload", b"{}")
        assert len(rig.replies) == 5
        assert {answer["error"] for _, answer in rig.replies} == {"too many requests wait"}
        rig.gate.set()
        await eventually(lambda: len(rig.replies) == MOST_WAITING + 5)
    assert [answer["status"] for _, answer in rig.replies[5:]] == ["ok"] * MOST_WAITING


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_payload_is_a_request_or_refused(payload: bytes) -> None:
    with suppress(Refused):
        fields, transaction = parse(payload)
        assert isinstance(fields, dict)
        assert transaction is None or isinstance(transaction, str | int)
