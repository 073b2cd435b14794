"""Subscribers of a self-hosted relay that come and go, and a sender that tries again until it hears 200."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

END: Final = "the end"
"""Body of the last webhook of a bucket: what came before it in the bucket has come."""
_PAUSE: Final = 0.05


class Guest:
    """One subscriber with a token of its own. What counts is what it has processed.

    Args:
        urls: of the relay's sockets; each visit is to any of them.
        key: its token's key; the secret is the same.
        buckets: those that it subscribes to.
        acknowledges: whether it says what it has processed; else it has processed what it received.
        chance: when it leaves, how, and for how long.
        group: whose webhooks it shares; "" where it wants all.
        lasts: seconds of a visit, at least and at most.
    """

    def __init__(
        self,
        urls: Sequence[str],
        key: str,
        buckets: list[str],
        *,
        acknowledges: bool,
        chance: Random,
        group: str = "",
        lasts: tuple[float, float] | None = None,
    ) -> None:
        self.key = key
        self.buckets = buckets
        self.acknowledges = acknowledges
        self.visits = 0
        self.processed: list[dict[str, Any]] = []
        self._urls = urls
        self._group = group
        self._chance = chance
        self._ended: set[str] = set()
        # Whoever says nothing is known to have received what came before a ping, which comes every second.
        self._visits_last = lasts or ((0.02, 0.12) if acknowledges else (1.5, 3.0))

    @property
    def numbers(self) -> Counter[str]:
        """How often each webhook was processed."""
        return Counter(one["body"] for one in self.processed if one["body"] != END)

    @property
    def repeats(self) -> int:
        """Deliveries that were processed again."""
        return len(self.processed) - len({one["meta"]["id"] for one in self.processed})

    async def stay(self) -> None:
        """Come and go until the end of each bucket has come."""
        while self._ended < set(self.buckets):
            try:
                async with asyncio.timeout(10):
                    await self._visit()
            except (OSError, TimeoutError, InvalidHandshake, WebSocketException):
                pass  # the relay is away, or was killed just now
            await asyncio.sleep(self._chance.uniform(0, 2 * _PAUSE))

    async def _visit(self) -> None:
        async with connect(self._chance.choice(self._urls), close_timeout=0.2, compression=None) as socket:
            await self._subscribe(socket)
            self.visits += 1
            leaves_at = time.monotonic() + self._chance.uniform(*self._visits_last)
            while time.monotonic() < leaves_at:
                await self._take(socket, self._chance.randint(1, 20))
                if self._ended >= set(self.buckets):
                    return
            if self._chance.random() < 0.5:
                socket.transport.abort()

    async def _subscribe(self, socket: ClientConnection) -> None:
        wishes: dict[str, Any] = {}
        if self.acknowledges:
            wishes = {"ack": "explicit", "resume": self.processed[-1]["meta"]["id"] if self.processed else ""}
        if self._group:
            wishes["group"] = self._group
        await socket.send(json.dumps({"action": "auth", "key": self.key, "secret": self.key}))
        assert json.loads(await socket.recv())["status"] == "authenticated"
        await socket.send(json.dumps({"action": "subscribe", "buckets": self.buckets, **wishes}))
        assert json.loads(await socket.recv())["status"] == "subscribed"

    async def _take(self, socket: ClientConnection, most: int) -> None:
        """Process some webhooks; without an acknowledgement, they are not processed."""
        taken: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(self._chance.uniform(_PAUSE, 4 * _PAUSE)):
                while len(taken) < most:
                    frame = json.loads(await socket.recv())
                    if frame["type"] == "webhook":
                        taken.append(frame)
        except TimeoutError:
            pass
        if taken and self.acknowledges:
            await socket.send(json.dumps({"action": "ack", "id": taken[-1]["meta"]["id"]}))
        self.processed += taken
        self._ended |= {one["meta"]["bucket_name"] for one in taken if one["body"] == END}


class Sender:
    """Sends bodies to inputs; what has no 200 is sent again, so it may come twice.

    Args:
        urls: of the relay's processes; each attempt is at the next one.
    """

    def __init__(self, *urls: str) -> None:
        self.failures = 0
        self.sent = 0
        self._urls = itertools.cycle(urls)

    async def send_all(self, addressed: list[tuple[str, str]], at_once: int = 8) -> None:
        """Send each body to the path of its input."""
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
            rest = iter(addressed)
            for _ in range(at_once):
                group.create_task(self._work(http, rest))

    async def _work(self, http: aiohttp.ClientSession, rest: Iterator[tuple[str, str]]) -> None:
        for path, body in rest:
            while not await self._sent(http, path, body):
                self.failures += 1
            self.sent += 1

    async def _sent(self, http: aiohttp.ClientSession, path: str, body: str) -> bool:
        try:
            async with http.post(next(self._urls) + path, data=body) as answer:
                if answer.status == 200:
                    return True
        except aiohttp.ClientError:
            pass  # the relay was killed, or is not back yet
        await asyncio.sleep(_PAUSE)
        return False
