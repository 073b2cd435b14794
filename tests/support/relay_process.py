"""A self-hosted relay as it is run: a process of its own."""

import asyncio
import sys
from pathlib import Path

import aiohttp

from tests.support.mosquitto import free_port
from tests.support.waiting import eventually_async


class RelayProcess:
    """A relay on a port of its own.

    Args:
        folder: for its settings file.
        settings: all of the file but where it listens.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket_url = f"ws://127.0.0.1:{self.port}/v1/socket"
        self._file = folder / f"relay-{self.port}.yaml"
        self._file.write_text(f"listen: 127.0.0.1:{self.port}\n{settings}")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        command = (sys.executable, "-m", "bridge", "relay", "-c", str(self._file))
        with self._file.with_suffix(".log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stderr=log)
        await eventually_async(self._answers, 30)

    async def kill(self) -> None:
        """As a power cut does, as far as a process is concerned."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def log_text(self) -> str:
        return self._file.with_suffix(".log").read_text(errors="replace")

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self.log_text()
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self.url}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False
