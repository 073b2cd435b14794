"""Answers of subscribers, brought to the process where the sender waits."""

import base64
import logging
from asyncio import Future
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, NoRespondersError

from bridge.selfhosted.answers import Answer, Answers
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.connection import translated
from bridge.selfhosted.resources import Limits

logger = logging.getLogger(__name__)

SECONDS: Final = 2.0
"""For another process to take an answer."""


class SharedAnswers(Answers):
    """Who waits here, and a way to who waits elsewhere."""

    def __init__(self, limits: Limits, counters: Counters) -> None:
        super().__init__(limits, counters)
        self.client: Client
        """Set once there is a connection."""

    @asynccontextmanager
    async def expected(self, log_ids: list[str]) -> AsyncIterator["Future[Answer | None]"]:
        """As `Answers`; other processes can bring the answer."""
        with translated():
            listening = [await self.client.subscribe(names.answers(one), cb=self._brought) for one in log_ids]
        try:
            async with super().expected(log_ids) as future:
                yield future
        finally:
            with suppress(Error):
                for one in listening:
                    await one.unsubscribe()

    async def give(self, log_id: str, answer: Answer) -> bool:
        """As `Answers`, wherever somebody waits."""
        if await super().give(log_id, answer):
            return True
        with translated():
            try:
                taken = await self.client.request(names.answers(log_id), _packed(answer), SECONDS)
            except NoRespondersError:
                return False
        return taken.data == b"+"

    async def _brought(self, message: Msg) -> None:
        log_id = message.subject.rpartition(".")[2]
        given = await super().give(log_id, _unpacked(message.data))
        await message.respond(b"+" if given else b"-")


def _packed(answer: Answer) -> bytes:
    return orjson.dumps([answer.status, answer.headers, base64.b64encode(answer.body).decode()])


def _unpacked(data: bytes) -> Answer:
    status, headers, body = orjson.loads(data)
    return Answer(status, tuple((name, value) for name, value in headers), base64.b64decode(body))
