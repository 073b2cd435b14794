"""A broker for the demo: Mosquitto, else amqtt from an environment of its own."""

import asyncio
import shutil
import socket
from pathlib import Path

from bridge.errors import BridgeError, Fault

READY_SECONDS = 15.0
SBIN = "/usr/sbin:/usr/local/sbin"
"""Where Debian puts Mosquitto, and where a user's PATH doesn't look."""


class BrokerMissing(BridgeError):
    """There is no broker on this machine, or it didn't start."""

    fault = Fault.SYSTEM


class DemoBroker:
    """A broker process on a free loopback port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0
        self.name = ""

    async def start(self) -> None:
        """Start it and wait until it accepts connections.

        Raises:
            BrokerMissing: there is none to start, or it does not accept.
        """
        self.port = _free_port()
        command = self._command()
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends the demo, which then ends this in its turn
        )
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self._accepts():  # noqa: ASYNC110  # another process has no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise BrokerMissing(f"{self.name} did not start within {READY_SECONDS:g} s") from None

    def _command(self) -> list[str]:
        mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path=SBIN)
        if mosquitto:
            self.name = "Mosquitto"
            file = self._folder / "mosquitto.conf"
            file.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
            return [mosquitto, "-c", str(file)]
        amqtt = shutil.which("amqtt") or shutil.which("amqtt", path=".demo/bin")
        if amqtt:
            self.name = "amqtt"
            file = self._folder / "amqtt.yaml"
            file.write_text(
                f"listeners: {{default: {{type: tcp, bind: '127.0.0.1:{self.port}'}}}}\n"
                "plugins: {amqtt.plugins.authentication.AnonymousAuthPlugin: {allow_anonymous: true}}\n"
            )
            return [amqtt, "-c", str(file)]
        raise BrokerMissing("the demo needs a broker: apt install mosquitto")

    async def _accepts(self) -> bool:
        if self._process is not None and self._process.returncode is not None:
            raise BrokerMissing(f"{self.name} ended with exit status {self._process.returncode}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def close(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
