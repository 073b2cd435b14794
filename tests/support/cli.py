"""The command `relay-bridge` as a child process."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main
from tests.support.waiting import eventually

ESCAPE = "\x1b"


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def run(*arguments: str | Path, stdin: bytes = b"", **environment: str) -> Done:
    """Run a command to its end. It gets this environment and the one given; "" takes a variable away."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *map(str, arguments)],
        input=stdin,
        env=_environment(environment),
        capture_output=True,
        timeout=60,
        check=False,
    )
    found = Done(
        done.returncode,
        done.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8")),
        done.stderr.decode(),
    )
    assert "Traceback" not in found.err, found.err
    return found


def call(*arguments: str | Path, stdin: bytes = b"") -> Done:
    """As `run`, in this process, which spares the third of a second that one takes to start."""
    written = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(stream, "utf-8", write_through=True) for stream in written)
    patch = pytest.MonkeyPatch()
    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
    finally:
        patch.undo()
    status = ended.value.code
    assert isinstance(status, int)
    return Done(status, *(stream.getvalue().decode() for stream in written))


def _environment(changes: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in (os.environ | changes).items() if value}


class Running:
    """A command that has not ended yet; both of its streams go to a file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def text(self) -> str:
        return self._log.read_text(errors="replace")

    async def says(self, text: str, timeout: float = 20.0) -> str:
        """Everything it wrote, once that holds `text`."""

        def found() -> bool:
            assert self._process.returncode is None or text in self.text, self.text
            return text in self.text

        await eventually(found, timeout)
        return self.text

    async def stop(self, with_signal: int = signal.SIGTERM, timeout: float = 20.0) -> int:
        """Send a signal, and wait for the exit status."""
        self._process.send_signal(with_signal)
        return await self.ended(timeout)

    async def ended(self, timeout: float = 20.0) -> int:
        async with asyncio.timeout(timeout):
            return await self._process.wait()


@asynccontextmanager
async def running(folder: Path, *arguments: str | Path, **environment: str) -> AsyncIterator[Running]:
    """Start a command whose state and runtime folders are in `folder`; killed in the end."""
    log = folder / "output"
    with tempfile.TemporaryDirectory() as runtime, log.open("wb") as output:  # a socket's path must be short
        own = {"XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": runtime}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", *map(str, arguments)),
            env=_environment(own | environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            yield Running(process, log)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
