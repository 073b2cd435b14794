"""Senders that wait for a subscriber's answer, and the forms in which real clients give one.

A subscriber answers by `PUT /v1/logs/{id}`; the fields are those of the service's REST API. Its clients
differ: headers as lists or plain strings, `status` and `Content-Type` there or not.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from bridge.selfhosted.counters import Counters
from bridge.selfhosted.resources import KIB, Limits

MOST_HEADERS: Final = 100
LONGEST_HEADERS: Final = 32 * KIB
"""Characters of all values; more than that, and common clients refuse the answer."""

_LOWEST, _HIGHEST = 200, 599
_BAD_GATEWAY: Final = 502
_BODILESS: Final = {204, 205, 304}
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}").fullmatch
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*").fullmatch
# They frame the message, belong to one connection (RFC 9110, section 7.6.1), or are the server's own affair.
_FRAMING: Final = {
    *("connection", "content-length", "date", "keep-alive", "proxy-authenticate", "proxy-connection"),
    *("server", "te", "trailer", "transfer-encoding", "upgrade"),
}


class BadAnswer(ValueError):
    """What a subscriber sent is no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sender is answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def parse_answer(data: bytes) -> Answer:
    """The answer in the body of a PUT.

    Raises:
        BadAnswer: there is none in it.
    """
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise BadAnswer("this is not JSON") from None
    if not isinstance(said, dict):
        raise BadAnswer("a JSON object is needed")
    pairs = _pairs(said.get("response_headers"))
    return answer_of(_status(said), pairs, _body(said.get("response_body")))


def answer_of(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
    """An answer that can be passed on; headers that can't be are left out."""
    return Answer(status, tuple(_passable(headers)), b"" if status in _BODILESS else body)


def _status(said: Mapping[str, Any]) -> int:
    """The status code; a destination that was never reached has none that could be passed on."""
    code = said.get("status_code")
    if code is None or code == 0:
        return _BAD_GATEWAY if said.get("status") == "failed" else _LOWEST
    if type(code) is not int:
        raise BadAnswer("status_code: a number is needed")
    return code if _LOWEST <= code <= _HIGHEST else _BAD_GATEWAY


def _body(text: Any) -> bytes:
    if text is None:
        return b""
    if not isinstance(text, str):
        raise BadAnswer("response_body: base64 text is needed")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadAnswer("response_body: this is not base64") from None


def _pairs(said: Any) -> list[tuple[str, str]]:
    if said is None:
        return []
    if not isinstance(said, Mapping):
        raise BadAnswer("response_headers: an object is needed")
    return [(name, one) for name, values in said.items() for one in _listed(values)]


def _passable(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    room = LONGEST_HEADERS
    for name, value in islice(pairs, MOST_HEADERS):
        room -= len(value)
        if room >= 0 and _NAME(name) and name.lower() not in _FRAMING and _VALUE(value):
            yield name, value


def _listed(values: Any) -> list[str]:
    found = values if isinstance(values, list) else [values]
    return [one for one in found if isinstance(one, str)]


class Answers:
    """Who waits for what. The first answer counts."""

    def __init__(self, limits: Limits, counters: Counters) -> None:
        self._most = limits.waiting
        self._counters = counters
        self._waiting: dict[str, asyncio.Future[Answer | None]] = {}
        """By the log ID of each frame whose answer will do; a request with several frames has one future."""
        self._requests = 0
        self._closed = False

    @asynccontextmanager
    async def expected(self, log_ids: list[str]) -> AsyncIterator[asyncio.Future[Answer | None]]:
        """A future of the first answer to any of these frames: None where nobody will give one."""
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        if self._closed or self._requests >= self._most:
            future.set_result(None)
            yield future
            return
        self._requests += 1
        self._waiting |= dict.fromkeys(log_ids, future)
        try:
            yield future
        finally:
            self._requests -= 1
            for log_id in log_ids:
                self._waiting.pop(log_id, None)

    async def within(self, seconds: float, future: asyncio.Future[Answer | None]) -> Answer | None:
        """The answer; None where it doesn't come in time."""
        done, _ = await asyncio.wait([future], timeout=seconds)
        answer = future.result() if done else None
        if answer is None:
            self._counters.unanswered += 1
        else:
            self._counters.answered += 1
        return answer

    async def give(self, log_id: str, answer: Answer) -> bool:
        """An answer came; whether somebody still waited for it."""
        future = self._waiting.get(log_id)
        if future is None or future.done():
            return False
        future.set_result(answer)
        return True

    async def close(self, _app: object = None) -> None:
        """Nobody is waited for any more: every sender has the static answer."""
        self._closed = True
        for future in self._waiting.values():
            if not future.done():
                future.set_result(None)
