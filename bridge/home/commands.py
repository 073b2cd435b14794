"""Commands by MQTT: `request/<command>` is answered on `response/<command>`."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from bridge.control import Answer, Handler
from bridge.errors import BridgeError
from bridge.home.digest import packed

COMMANDS: Final = {
    "check": "check",
    "pause": "pause",
    "reload": "reload",
    "resume": "resume",
    "retry": "dead-retry",
}
"""What can be asked for beside `health`, and the name of each at the control socket."""
LONGEST_REQUEST: Final = 16 * 1024
LONGEST_TRANSACTION: Final = 200
MOST_WAITING: Final = 16


class Request(NamedTuple):
    """A request, taken apart."""

    fields: dict[str, Any]
    transaction: str | int | None
    """The caller's own mark, which the answer carries too."""


class Refused(BridgeError):
    """A request that is not one."""


Reply = Callable[[str, bytes], None]
"""Publishes the answer to a command."""


def parse(payload: bytes) -> Request:
    """The request; an empty payload asks for nothing in particular.

    Raises:
        Refused: it is too long, no JSON object, or has a transaction that is no short text or number.
    """
    if len(payload) > LONGEST_REQUEST:
        raise Refused(f"the request is longer than {LONGEST_REQUEST} bytes")
    try:
        fields = orjson.loads(payload) if payload else {}
    except orjson.JSONDecodeError as error:
        raise Refused("the request is not JSON") from error
    if not isinstance(fields, dict):
        raise Refused("the request is not a JSON object")
    transaction = fields.pop("transaction", None)
    if isinstance(transaction, bool) or not isinstance(transaction, str | int | None):
        raise Refused("the transaction is neither a text nor a number")
    if isinstance(transaction, str) and len(transaction) > LONGEST_TRANSACTION:
        raise Refused(f"the transaction is longer than {LONGEST_TRANSACTION} characters")
    return Request(fields, transaction)


class Commands:
    """Carries out one command after the other.

    Args:
        handlers: of the control socket, by name.
        health: what the command `health` is answered.
        reply: publishes an answer.
    """

    def __init__(self, handlers: Mapping[str, Handler], health: Handler, reply: Reply) -> None:
        self._handlers = {"health": health} | {ours: handlers[theirs] for ours, theirs in COMMANDS.items()}
        self._reply = reply
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MOST_WAITING)

    def take(self, command: str, payload: bytes) -> None:
        """Take a request, which is answered soon; what is no command of ours is not answered."""
        if command not in self._handlers:
            return
        if self._waiting.full():
            self._reply(command, packed(_failed("too many requests wait", None)))
            return
        self._waiting.put_nowait((command, payload))

    async def run(self) -> None:
        """Carry out requests until it is cancelled."""
        while True:
            command, payload = await self._waiting.get()
            self._reply(command, packed(await self._answer(command, payload)))

    async def _answer(self, command: str, payload: bytes) -> dict[str, Any]:
        transaction = None
        try:
            fields, transaction = parse(payload)
            answer = await self._handlers[command](fields)
        except BridgeError as error:
            return _failed(str(error), transaction)
        return {"status": "ok", "data": _told(answer), **_mark(transaction)}


def _failed(error: str, transaction: str | int | None) -> dict[str, Any]:
    return {"status": "error", "error": error, "data": {}, **_mark(transaction)}


def _mark(transaction: str | int | None) -> dict[str, Any]:
    return {} if transaction is None else {"transaction": transaction}


def _told(answer: Answer) -> dict[str, Any]:
    """An answer without lines of the routing file, which can hold secrets: a broker has other readers."""
    problems = answer.get("problems")
    if not isinstance(problems, list):
        return dict(answer)
    brief = [f"{one['file']}:{one['line']}:{one['column']}: {one['message']}" for one in problems]
    return {**answer, "problems": brief}
