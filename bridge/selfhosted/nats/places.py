"""Where subscribers have got to: durable consumers, and which of them are whose.

What each subscriber confirmed is the floor of its own consumer, so NATS keeps it. As in
`bridge.selfhosted.hub`, a new connection starts after the lowest position of its token on a bucket: of the
connections that are there, on whichever process, and of those that left within the history's age. NATS
forgets the consumers of the others.
"""

import asyncio
import logging
import random
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue

from bridge.selfhosted.engine import EngineUnavailable
from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.connection import translated
from bridge.selfhosted.nats.making import consumer, key_value
from bridge.selfhosted.nats.stream import starting
from bridge.selfhosted.resources import Limits

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 50
"""To get between the others that connect with the same token to the same bucket at the same time."""
PRESENCE_SECONDS: Final = 1.0
"""Without an answer for so long, a connection is taken to be there."""
GROUP_SECONDS: Final = 10.0
"""After which another member gets what one neither confirmed nor said that it works on."""
_NEVER: Final = 30 * 24 * 3600.0
"""Nothing is sent twice to one connection: what it didn't confirm, the next one gets."""


@dataclass(frozen=True, slots=True)
class Place:
    """A consumer that keeps the position of a connection."""

    consumer: str
    process: str
    start: int
    """The connection gets what comes after this position."""


@dataclass(frozen=True, slots=True)
class _Known:
    place: Place
    position: int
    present: bool


class Places:
    """Finds and makes consumers for connections."""

    def __init__(self, client: Client, js: JetStreamContext, limits: Limits, replicas: int) -> None:
        self._client = client
        self._js = js
        self._limits = limits
        self._replicas = replicas
        self._process = secrets.token_hex(6)
        self._kv: KeyValue
        self._present: set[str] = set()

    async def open(self) -> None:
        """Get ready.

        Raises:
            EngineUnavailable: as all of these.
        """
        self._kv = await key_value(self._js, names.PLACES, self._replicas)
        with translated():
            await self._client.subscribe(names.presence(self._process), cb=self._asked)

    async def join(self, key: str, bucket_id: str, at_least: int) -> str:
        """The name of a consumer of its own for a new connection.

        Args:
            key: of its token.
            bucket_id: of the bucket.
            at_least: a position that it confirmed, as it says; 0 where it doesn't say.
        """
        entry = f"{names.digest(key)}.{bucket_id}"
        for attempt in range(ATTEMPTS):
            with translated():
                joined = await self._try_to_join(entry, bucket_id, at_least)
            if joined is not None:
                self._present.add(joined)
                return joined
            await asyncio.sleep(random.uniform(0, 0.01 * (attempt + 1)))  # noqa: S311  # no secret
        raise EngineUnavailable("too many connections with one token at the same time")

    def leave(self, consumer: str) -> None:
        """A connection is gone; its position is kept for the history's age."""
        self._present.discard(consumer)

    async def join_group(self, group: str, bucket_id: str) -> str:
        """The name of the consumer that the members of a group share."""
        name = f"group-{names.digest(group)}-{bucket_id}"
        config = self._config(name, bucket_id, AckPolicy.EXPLICIT, GROUP_SECONDS, self._recent())
        await consumer(self._js, config)
        return name

    async def _try_to_join(self, entry: str, bucket_id: str, at_least: int) -> str | None:
        places, revision = await self._read(entry)
        found = await asyncio.gather(*(self._look(one) for one in places))
        known = [one for one in found if one is not None]
        start = max(min(one.position for one in known), at_least) if known else None
        place = await self._made(bucket_id, start)
        gone = max((one for one in known if not one.present), key=lambda one: one.position, default=None)
        left = [one.place for one in known if one is not gone]
        try:
            await self._write(entry, [*left, place], revision)
        except KeyWrongLastSequenceError:
            await self._forget(place)
            return None
        if gone is not None:
            # Nobody can know which one is back: see `bridge.selfhosted.attendance`.
            await self._forget(gone.place)
        return place.consumer

    async def _made(self, bucket_id: str, start: int | None) -> Place:
        name = f"{self._process}-{secrets.token_hex(6)}"
        begin = self._recent() if start is None else starting(position=start + 1)
        config = self._config(name, bucket_id, AckPolicy.ALL, _NEVER, begin)
        info = await self._js.add_consumer(names.WEBHOOKS, config)
        before = info.delivered.stream_seq if info.delivered else 0
        return Place(name, self._process, before if start is None else start)

    def _config(
        self, name: str, bucket_id: str, policy: AckPolicy, wait: float, begin: dict[str, Any]
    ) -> ConsumerConfig:
        return ConsumerConfig(
            durable_name=name,
            filter_subject=names.webhooks(bucket_id, internal=True),
            ack_policy=policy,
            ack_wait=wait,
            max_ack_pending=self._limits.unacknowledged,
            inactive_threshold=max(self._limits.history_age, 1.0),
            num_replicas=self._replicas,
            **begin,
        )

    def _recent(self) -> dict[str, Any]:
        return starting(since=time.time() - self._limits.history_age)

    async def _look(self, place: Place) -> _Known | None:
        """How far a connection got; None where it is forgotten."""
        present = await self._is_present(place)
        try:
            info = await self._js.consumer_info(names.WEBHOOKS, place.consumer)
        except NotFoundError:
            self._present.discard(place.consumer)
            return None
        floor = info.ack_floor.stream_seq if info.ack_floor else 0
        return _Known(place, max(place.start, floor), present)

    async def _is_present(self, place: Place) -> bool:
        if place.process == self._process:
            return place.consumer in self._present
        subject = names.presence(place.process)
        try:
            answer = await self._client.request(subject, place.consumer.encode(), PRESENCE_SECONDS)
        except NoRespondersError:
            return False
        except TimeoutError:
            return True
        return answer.data == b"+"

    async def _asked(self, message: Msg) -> None:
        await message.respond(b"+" if message.data.decode() in self._present else b"-")

    async def _forget(self, place: Place) -> None:
        try:
            await self._js.delete_consumer(names.WEBHOOKS, place.consumer)
        except NotFoundError:
            logger.debug("consumer %s is gone already", place.consumer)

    async def _read(self, entry: str) -> tuple[list[Place], int]:
        try:
            found = await self._kv.get(entry)
        except KeyNotFoundError:
            return [], 0
        return [Place(*one) for one in orjson.loads(found.value or b"[]")], found.revision or 0

    async def _write(self, entry: str, places: list[Place], revision: int) -> None:
        said = [(one.consumer, one.process, one.start) for one in places]
        await self._kv.update(entry, orjson.dumps(said), revision)
