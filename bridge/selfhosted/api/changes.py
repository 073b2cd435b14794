"""Changes of resources: one at a time, off the event loop, and everybody is told who needs to know."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes:
    """Runs changes.

    Args:
        told: called on the event loop after each.
    """

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self._turn = asyncio.Lock()

    async def make(self, work: Callable[[], T]) -> T:
        """The outcome of a piece of work that may wait for the disk."""
        async with self._turn:
            found = await asyncio.to_thread(work)
        self._told()
        return found
