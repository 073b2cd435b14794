"""Recording what a child does to the files of a folder, in the order in which it happens."""

import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
ROOT = Path(__file__).parents[3]
_HEADER = struct.Struct("<QQQQ")


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a recording.

    Kinds: W write, T truncate, G grow, S file synced, D folder synced, C create, U unlink, R rename, and M a
    mark of the child itself.
    """

    kind: str
    inode: int
    offset: int
    """Of a write; of T and G the size."""
    payload: bytes


def compile_shim(folder: Path) -> Path:
    """Builds the library that is preloaded into children."""
    library = folder / "shim.so"
    command = ["gcc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


def record(shim: Path, log: Path, folder: Path, module: str, arguments: Sequence[str]) -> None:
    """Runs `python -m module LOG_FD arguments…` and records into `log` what it does in `folder`."""
    with log.open("ab") as out:
        number = str(out.fileno())
        settings = {
            "LD_PRELOAD": str(shim),
            "POWERCUT_LOG": number,
            "POWERCUT_FOLDER": str(folder.resolve()),
        }
        subprocess.run(
            [sys.executable, "-m", module, number, *arguments],
            env=os.environ | settings,
            pass_fds=[out.fileno()],
            cwd=ROOT,
            check=True,
            timeout=120,
        )


def mark(log_fd: int, text: str) -> None:
    """Adds a mark to the recording; for the child."""
    payload = text.encode()
    os.write(log_fd, _HEADER.pack(ord("M"), 0, 0, len(payload)) + payload)


def load(log: Path) -> list[Record]:
    """A whole recording."""
    return list(_parse(log.read_bytes()))


def _parse(data: bytes) -> Iterator[Record]:
    at = 0
    while at < len(data):
        kind, inode, offset, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        yield Record(chr(kind), inode, offset, data[at : at + length])
        at += length
