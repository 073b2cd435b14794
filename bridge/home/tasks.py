"""Tasks that run beside the path."""

import asyncio
import logging
from collections.abc import Coroutine

log = logging.getLogger(__name__)


def watched(work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    """A task for work that ends when it is cancelled; that it ends by itself is a bug, and must be loud."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell)
    return task


async def ended(task: asyncio.Task[None]) -> None:
    """End a task."""
    task.cancel()
    await asyncio.wait([task])


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("%s broke", task.get_name(), exc_info=error)
