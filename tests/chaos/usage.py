"""What a process holds, as Linux tells it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MIB_KIB = 1024
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds."""

    kib: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Of a process, now."""
        proc = Path("/proc") / str(pid)
        pages = int((proc / "statm").read_text().split()[1])
        return cls(pages * PAGE_KIB, len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir())))


def peak_kib(pid: int) -> int:
    """The most memory that a process ever had; `ru_maxrss` would begin with that of its parent."""
    return _status(pid, "VmHWM")


def data_kib(pid: int) -> int:
    """Its private writable memory, which is what `RLIMIT_DATA` limits."""
    return _status(pid, "VmData")


def _status(pid: int, name: str) -> int:
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
