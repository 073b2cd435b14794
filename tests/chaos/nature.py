"""What a machine does to the bridge and the bridge can't see: a clock that is set, a disk that fails."""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("nature.c")
_ORDERS = struct.Struct("=qii")

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="what is preloaded is compiled by gcc")


class Nature:
    """Orders to a library that is preloaded into a bridge; they hold for every process that it becomes."""

    def __init__(self, folder: Path, disk: Path) -> None:
        """`folder` is for the library, `disk` is what can fail."""
        self._library = folder / "nature.so"
        flags = ("-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
        subprocess.run(["gcc", *flags, "-o", self._library, SOURCE, "-ldl"], check=True)
        self._path = folder / "orders"
        self._path.write_bytes(bytes(_ORDERS.size))
        with self._path.open("r+b") as file:
            self._orders = mmap.mmap(file.fileno(), _ORDERS.size)
        self._shift = 0
        self._disk = disk

    @property
    def environment(self) -> dict[str, str]:
        """For the bridge."""
        return {
            "LD_PRELOAD": str(self._library),
            "CHAOS_ORDERS": str(self._path),
            "CHAOS_FOLDER": str(self._disk),
        }

    def set_clock(self, hours: float) -> None:
        """The wall clock jumps by so much."""
        self._shift += round(hours * 3600)
        self._order()

    def fail_syncs(self, count: int) -> None:
        """The next so many fsyncs fail with EIO."""
        self._order(sync_failures=count)

    def read_only(self) -> None:
        """The disk takes nothing more, as after an error of the card."""
        self._order(read_only=True)

    def heal(self) -> None:
        """The disk is well again."""
        self._order()

    def _order(self, *, sync_failures: int = 0, read_only: bool = False) -> None:
        _ORDERS.pack_into(self._orders, 0, self._shift, sync_failures, read_only)
