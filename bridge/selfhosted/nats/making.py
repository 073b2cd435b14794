"""Streams, key-value buckets and consumers that all processes use: whoever comes first makes them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, KeyValueConfig, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError
from nats.js.kv import KeyValue

from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.connection import translated

T = TypeVar("T")

ATTEMPTS: Final = 20
_PAUSE: Final = 0.1


async def made(js: JetStreamContext, config: StreamConfig) -> None:
    """See that a stream is there; one that is there already stays as it is.

    Raises:
        EngineUnavailable: NATS doesn't do that; likewise the others.
    """
    await _found_or_made(lambda: js.stream_info(config.name or ""), lambda: js.add_stream(config))


async def key_value(js: JetStreamContext, name: str, replicas: int) -> KeyValue:
    """A bucket of keys."""
    config = KeyValueConfig(bucket=name, history=1, replicas=replicas)
    return await _found_or_made(lambda: js.key_value(name), lambda: js.create_key_value(config))


async def consumer(js: JetStreamContext, config: ConsumerConfig) -> None:
    """See that a consumer of webhooks is there."""
    name = config.durable_name or ""
    await _found_or_made(
        lambda: js.consumer_info(names.WEBHOOKS, name), lambda: js.add_consumer(names.WEBHOOKS, config)
    )


async def _found_or_made(find: Callable[[], Awaitable[T]], make: Callable[[], Awaitable[T]]) -> T:
    """Find or make something that another process may be making just now, by a configuration of its own."""
    with translated():
        for _ in range(ATTEMPTS):
            try:
                return await find()
            except NotFoundError:
                pass
            try:
                return await make()
            except BadRequestError:
                await asyncio.sleep(_PAUSE)
        return await make()
