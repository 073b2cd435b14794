"""A hand inside the bridge's process, for what can't be done to it or seen of it from outside."""

import os
import signal
from pathlib import Path

from tests.support.process import BridgeProcess
from tests.support.waiting import eventually

INSIDE = Path(__file__).with_name("inside")
ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds within which even a busy machine lets it answer."""


class Insider:
    """Comes with the bridge's next start."""

    def __init__(self, bridge: BridgeProcess, *, hurried: bool = False, fatal: str = "") -> None:
        """With these habits of the bridge.

        Args:
            bridge: the process.
            hurried: it comes back from every loss of a connection at once.
            fatal: a webhook with this text kills it when it is sent to a service.
        """
        self._bridge = bridge
        self._answer = bridge.folder / "answer"
        bridge.environment |= {
            "PYTHONPATH": f"{INSIDE}{os.pathsep}{ROOT}",
            "CHAOS_ANSWER": str(self._answer),
        }
        if hurried:
            bridge.environment["CHAOS_HURRIED"] = "1"
        if fatal:
            bridge.environment["CHAOS_FATAL"] = fatal

    async def stand_still(self) -> None:
        """Its event loop is stuck when this returns, for good."""
        await self._asked(signal.SIGUSR1)

    async def tasks(self) -> int:
        """The tasks of its event loop."""
        return int(await self._asked(signal.SIGUSR2))

    async def _asked(self, number: signal.Signals) -> str:
        self._answer.unlink(missing_ok=True)
        os.kill(self._bridge.pid, number)
        await eventually(self._answer.exists, PATIENCE)
        return self._answer.read_text()
