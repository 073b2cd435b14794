"""A process under measurement: pinned to a core, read out of /proc."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
STOP_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in bytes; the proportional one counts a page that two processes share as half."""

    rss: int
    pss: int


class Process:
    """A child process and its children, from its start to its end. Its output goes to a file.

    Args:
        core: the core it may use; None: any.
    """

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], log: Path, core: int | None
    ) -> None:
        self.log = log
        with log.open("ab") as out, _on(core):
            self._process = subprocess.Popen(argv, env={**os.environ, **environment}, stdout=out, stderr=out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def ended(self) -> bool:
        """It is no more."""
        return self._process.poll() is not None

    def cpu(self) -> float:
        """Seconds of CPU, user and system, that it and its children used; resolution 10 ms."""
        return TICK * sum(sum(map(int, _stat(pid)[11:15])) for pid in self._family())

    def fine_cpu(self) -> float:
        """Seconds of CPU of the threads that are alive; resolution 1 ns."""
        threads = [thread for pid in self._family() for thread in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def written(self) -> int:
        """Bytes that it made the kernel write to disks."""
        return sum(_field(Path(f"/proc/{pid}/io"), "write_bytes") for pid in self._family())

    def memory(self) -> Memory:
        """What it holds now."""
        pids = list(self._family())
        rss = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in pids)
        pss = sum(_field(Path(f"/proc/{pid}/smaps_rollup"), "Pss") * 1024 for pid in pids)
        return Memory(rss, pss)

    def _family(self) -> Iterator[int]:
        return _descendants(self._process.pid)


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _descendants(int(child))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from `state` on; the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _field(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise ValueError(f"{file} has no {name}")


@contextmanager
def _on(core: int | None) -> Iterator[None]:
    """What is started meanwhile runs on this core: a child begins with its parent's affinity."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
