"""Waiting for a condition, with a deadline, instead of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(probe: Callable[[], T], timeout: float = 10.0, *, every: float = 0.005) -> T:
    """The first true value of `probe`; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {getattr(probe, '__qualname__', probe)}")
        await asyncio.sleep(every)


async def eventually_async(
    probe: Callable[[], Awaitable[T]], timeout: float = 10.0, *, every: float = 0.02
) -> T:
    """As `eventually`, for a probe that is awaited."""
    deadline = time.monotonic() + timeout
    while True:
        value = await probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {getattr(probe, '__qualname__', probe)}")
        await asyncio.sleep(every)
