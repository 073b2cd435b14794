"""Which deliveries are with a target right now, for the next process to know if this one is killed.

A small file mapped into memory: to note a delivery is no system call and no write to a disk, and the death of
the process leaves it behind. A power cut doesn't, and rightly: no delivery is to blame for that.
"""

import mmap
import os
import struct
from pathlib import Path

SLOTS = 512
"""Deliveries in flight that are noted; more than that are not."""
_SLOT = struct.Struct("=q")


class Flights:
    """The deliveries in flight, by seq."""

    def __init__(self, path: Path | None) -> None:
        """Takes over what the last process left.

        Args:
            path: of a file that outlives the process, best in memory (`/run`); None: nothing outlives it.

        Raises:
            OSError: the file can't be used.
        """
        size = SLOTS * _SLOT.size
        if path is None:
            self._slots = mmap.mmap(-1, size)
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.ftruncate(descriptor, size)
                self._slots = mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        self._taken: dict[int, int] = {}
        self._free = [slot * _SLOT.size for slot in range(SLOTS)]
        self.left = [seq for (seq,) in _SLOT.iter_unpack(self._slots[:]) if seq]
        """In flight when the last process died."""

    def forget(self) -> None:
        """What the last process left is dealt with."""
        self._slots[:] = bytes(len(self._slots))

    def begin(self, seq: int) -> None:
        """A delivery is given to its target."""
        if self._free:
            self._taken[seq] = slot = self._free.pop()
            _SLOT.pack_into(self._slots, slot, seq)

    def end(self, seq: int) -> None:
        """It has its result."""
        slot = self._taken.pop(seq, None)
        if slot is not None:
            _SLOT.pack_into(self._slots, slot, 0)
            self._free.append(slot)

    def close(self) -> None:
        """Everything in flight has its result, or is given up in order: nobody is to blame."""
        self.forget()
        self._slots.close()
