"""A real Node-RED for a test, without its editor's window: the flows come by its Admin API.

async with NodeRed(tmp_path) as node_red:
    await node_red.add(flow)
"""

import asyncio
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final, Self

from tests.support.mosquitto import HOST, free_port
from tests.support.npm import installed
from tests.support.waiting import eventually, eventually_async

PACKAGE: Final = "node-red@4.1.15"
SETTINGS: Final = Path(__file__).parent / "node" / "settings.js"

Flow = list[dict[str, Any]]
"""Nodes, as the editor exports them."""


def add_palette(folder: Path, palette: Path) -> None:
    """Install a package of this machine in Node-RED's user folder, as its documentation says."""
    command = ["npm", "install", "--offline", "--no-audit", "--no-fund", str(palette)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


class NodeRed:
    """One Node-RED with a user folder of its own, on the same port at each start."""

    def __init__(self, folder: Path, *palettes: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._folder = folder / "node-red"
        self._environment = os.environ | environment | {"HOME": str(folder), "NODE_RED_PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None
        self._palettes = palettes

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True)
        for palette in self._palettes:
            await asyncio.to_thread(add_palette, self._folder, palette)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def log(self) -> str:
        """What it logged so far."""
        return (self._folder / "node-red.log").read_text(errors="replace")

    async def start(self) -> None:
        """Start it, and wait until its Admin API answers."""
        program = await asyncio.to_thread(installed, PACKAGE) / "node_modules" / "node-red" / "red.js"
        process = self._process = self._spawn(program)

        async def answers() -> bool:
            assert process.poll() is None, f"Node-RED ended with {process.returncode}:\n{self.log}"
            try:
                return bool(await self.ask("/settings"))
            except OSError:
                return False

        await eventually_async(answers, 30, every=0.05)

    def _spawn(self, program: Path) -> subprocess.Popen[bytes]:
        command = ["node", str(program), "-u", str(self._folder), "-s", str(SETTINGS)]
        with (self._folder / "node-red.log").open("ab") as log:
            return subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """End it as its service would."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(with_signal)
        try:
            await eventually(lambda: process.poll() is not None, 15)
        finally:
            process.kill()
            process.wait()

    async def ask(self, path: str, body: object = None, **headers: str) -> Any:
        """One request to the Admin API: GET, or POST with a body; header names with _ for -."""
        return await asyncio.to_thread(self._ask, path, body, headers)

    def _ask(self, path: str, body: object, headers: dict[str, str]) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Content-Type": "application/json", "Accept": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, named)  # noqa: S310  # it is always http://
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310  # the same
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from None

    async def add(self, flow: Flow) -> None:
        """Deploy a flow beside those that are there; a node with the ID of one that is there is the same."""
        version = {"Node_RED_API_Version": "v2"}
        running = await self.ask("/flows", **version)
        there = {node["id"] for node in running["flows"]}
        running["flows"] += [node for node in flow if node["id"] not in there]
        await self.ask("/flows", running, **version, Node_RED_Deployment_Type="flows")
