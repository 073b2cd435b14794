"""A disk that tells what is durable from what is only promised, and every state a power cut can leave it in.

What was synced is there. Each change since then is there, or not, in any order; a write may be torn at the
boundaries of sectors. A size grows or shrinks by itself, and a name in a folder is durable only once the
folder is synced. That is less than ext4 promises.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

from tests.chaos.powercut.recording import Record

SECTOR = 512
IGNORED = (".lock", ".ballast")
"""Files without content: they would only cost time."""


@dataclass(slots=True, eq=False)
class File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Record] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, change)
        self.pending.clear()


@dataclass(frozen=True, slots=True)
class Cut:
    """What a power cut spares: each is a chance between 0 and 1."""

    write: float
    sector: float
    """Of a write that is torn."""
    torn: float
    size: float
    name: float

    @classmethod
    def random(cls, chance: Random) -> Self:
        """Of every sort, the extremes as often as what lies between: 1.0 all over is kill -9."""

        def some() -> float:
            return chance.choice((0.0, 1.0, chance.random()))

        return cls(write=some(), sector=chance.random(), torn=some(), size=some(), name=some())


class Disk:
    """The files of one folder, by replaying a recording."""

    def __init__(self, contents: dict[str, bytes], inodes: dict[str, int]) -> None:
        """`contents` is durable."""
        self._names = {name: File(bytearray(data)) for name, data in contents.items()}
        self._live = dict(self._names)
        self._inodes = {inodes[name]: file for name, file in self._names.items()}
        self._pending_names: list[dict[str, File | None]] = []

    def apply(self, record: Record) -> None:
        """Takes in the next record."""
        match record.kind:
            case "W" | "T" | "G":
                self._inodes[record.inode].pending.append(record)
            case "S":
                self._inodes[record.inode].sync()
            case "D":
                for change in self._pending_names:
                    _rename(self._names, change)
                self._pending_names.clear()
            case "C":
                file = self._inodes[record.inode] = File()
                self._rename({record.payload.decode(): file})
            case "U":
                self._rename({record.payload.decode(): None})
            case "R":
                old, new = record.payload.decode().split("/")
                self._rename({old: None, new: self._live[old]})

    def _rename(self, change: dict[str, File | None]) -> None:
        _rename(self._live, change)
        self._pending_names.append(change)

    def now(self) -> dict[str, bytes]:
        """What the files hold for a program that reads them."""
        return {name: bytes(_whole(file)) for name, file in self._live.items()}

    def after(self, cut: Cut, chance: Random) -> dict[str, bytes]:
        """What a power cut leaves."""
        names = dict(self._names)
        for change in self._pending_names:
            if chance.random() < cut.name:
                _rename(names, change)
        kept = {name: file for name, file in names.items() if not name.endswith(IGNORED)}
        return {name: bytes(_remains(file, cut, chance)) for name, file in kept.items()}


def _rename(names: dict[str, File], change: dict[str, File | None]) -> None:
    for name, file in change.items():
        names.pop(name, None)
        if file is not None:
            names[name] = file


def _whole(file: File) -> bytearray:
    data = bytearray(file.durable)
    for change in file.pending:
        _apply(data, change)
    return data


def _remains(file: File, cut: Cut, chance: Random) -> bytearray:
    data = bytearray(file.durable)
    for change in file.pending:
        if change.kind != "W":
            if chance.random() < cut.size:
                _apply(data, change)
            continue
        torn = chance.random() < cut.torn
        if not torn and chance.random() >= cut.write:
            if chance.random() < cut.size / 4:  # the size is there, and zeros
                _grow(data, change.offset + len(change.payload))
            continue
        for start, piece in _sectors(change) if torn else [(change.offset, change.payload)]:
            if not torn or chance.random() < cut.sector:
                _write(data, start, piece)
    return data


def _sectors(write: Record) -> Iterator[tuple[int, bytes]]:
    at, end = write.offset, write.offset + len(write.payload)
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        yield at, write.payload[at - write.offset : until - write.offset]
        at = until


def _apply(data: bytearray, change: Record) -> None:
    match change.kind:
        case "W":
            _write(data, change.offset, change.payload)
        case "G":
            _grow(data, change.offset)
        case "T":
            del data[change.offset :]
            _grow(data, change.offset)


def _write(data: bytearray, at: int, piece: bytes) -> None:
    _grow(data, at)
    data[at : at + len(piece)] = piece


def _grow(data: bytearray, size: int) -> None:
    if len(data) < size:
        data.extend(bytes(size - len(data)))


def read_folder(folder: Path) -> tuple[dict[str, bytes], dict[str, int]]:
    """Contents and inodes of a folder's files."""
    files = [file for file in folder.iterdir() if file.is_file()]
    return {f.name: f.read_bytes() for f in files}, {f.name: f.stat().st_ino for f in files}
