"""The bridge as a user runs it: a child process with a routing file, a state folder and a control socket."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.waiting import eventually_async


class BridgeProcess:
    """Runs `relay-bridge run` on a routing file in a folder of its own."""

    program: tuple[str, ...] = ("-m", "bridge")

    def __init__(self, folder: Path, routing: str, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "bridge.yaml"
        # Bridges of tests that run side by side would all want the console's port.
        own = "" if re.search(r"^console:", routing, re.MULTILINE) else "\nconsole: off\n"
        self.file.write_text(routing + own)
        self.log = folder / "bridge.log"
        self.environment = os.environ | {
            "STATE_DIRECTORY": str(folder / "state"),
            "RUNTIME_DIRECTORY": str(folder / "run"),
            "PYTHONWARNINGS": "error::ResourceWarning",
            **environment,
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()
        if kind is not None:
            print(self.log_text()[-8000:])  # noqa: T201  # pytest shows it beside the failure

    async def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.returncode

    async def start(self, *, subscribed: bool = True) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(*self.program, "run", "-c", str(self.file)),
                env=self.environment,
                stderr=log,
                stdout=log,
            )
        if subscribed:
            await eventually_async(self._subscribed, 60)

    async def _subscribed(self) -> bool:
        assert self.returncode is None, f"the bridge ended: {self.log_text()}"
        status = await self.try_ask("status")
        return status is not None and status["relay"]["state"] == "subscribed"

    async def try_ask(self, command: str, **request: object) -> dict[str, Any] | None:
        try:
            return await self.ask(command, **request)
        except (OSError, http.client.HTTPException):
            return None

    async def ask(self, command: str, **request: object) -> dict[str, Any]:
        return await asyncio.to_thread(self._ask, command, request)

    def _ask(self, command: str, request: dict[str, object]) -> dict[str, Any]:
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        try:
            connection.sock.connect(str(self.folder / "run" / "control.sock"))
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/{command}", json.dumps(request), headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer

    async def stop(self) -> int:
        """SIGTERM, and its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), 30)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def conserved(status: dict[str, Any]) -> None:
    """Every target's counts add up."""
    for name, target in status["targets"].items():
        settled = target["delivered"] + target["dead"] + target["expired"] + target["evicted"]
        assert target["accepted"] == settled + target["pending"], (name, target)
