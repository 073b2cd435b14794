"""What the control socket can be asked for."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from bridge.control import Answer, Handler
from bridge.reload import Outcome
from bridge.status import Observed, snapshot


class Operated(Observed, Protocol):
    """A running daemon, as an operator sees it."""

    async def reload(self) -> Outcome:
        """Read the routing file again."""


def commands(daemon: Operated) -> dict[str, Handler]:
    """The commands by name."""

    async def reload(_request: Mapping[str, object]) -> Answer:
        outcome = await daemon.reload()
        return outcome.as_dict()

    async def status(_request: Mapping[str, object]) -> Answer:
        await asyncio.sleep(0)
        return snapshot(daemon)

    return {"reload": reload, "status": status}
