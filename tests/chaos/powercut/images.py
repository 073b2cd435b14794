"""Crash images: a power cut at a random moment of a recording, and what the journal makes of what is left."""

import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

from bridge.errors import JournalError
from tests.chaos.powercut.contents import Contents, inspect
from tests.chaos.powercut.disk import Cut, Disk, read_folder
from tests.chaos.powercut.ledger import Ledger
from tests.chaos.powercut.recording import Record, load, record

JOURNAL = "journal.db"
WORKLOAD = "tests.chaos.powercut.workload"
MEMORY = Path("/dev/shm")  # noqa: S108  # folders of our own in it
"""Syncing costs nothing there, and only the recorded syncs count."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a child did to a journal's folder, and what was in it before."""

    log: Path
    contents: dict[str, bytes]
    inodes: dict[str, int]
    before: Contents

    @classmethod
    def make(
        cls, shim: Path, log: Path, folder: Path, seed: int, *, mutant: str = "", damaged: bool = False
    ) -> Self:
        """Runs the workload on a folder that may hold a journal, and on a damaged one if that is wanted."""
        before = inspect(folder / JOURNAL) if (folder / JOURNAL).exists() else Contents()
        if damaged:
            damage(folder / JOURNAL)
        contents, inodes = read_folder(folder)
        record(shim, log, folder, WORKLOAD, [str(folder / JOURNAL), str(seed), mutant])
        return cls(log, contents, inodes, before)

    def replayed(self) -> dict[str, bytes]:
        """What the folder holds, if the recording missed nothing."""
        disk = self.disk()
        for entry in load(self.log):
            disk.apply(entry)
        return disk.now()

    def disk(self) -> Disk:
        return Disk(self.contents, self.inodes)


@dataclass(slots=True)
class Figures:
    """Of many crash images."""

    images: int = 0
    confirmed: int = 0
    """Deliveries whose commit was confirmed before the cut, over all images."""
    found: int = 0
    """Deliveries and dead letters in the journals."""
    salvaged: int = 0
    """Images in which a file was taken for damaged."""
    problems: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, where: str, problems: list[str]) -> None:
        """Counts the problems of one image, each sort once for each time."""
        self.problems.update(problem.partition(":")[0] for problem in problems)
        self.examples += [f"{where}: {problem}" for problem in problems[: 5 - len(self.examples)]]

    def __iadd__(self, other: Self) -> Self:
        self.images += other.images
        self.confirmed += other.confirmed
        self.found += other.found
        self.salvaged += other.salvaged
        self.problems += other.problems
        self.examples = (self.examples + other.examples)[:5]
        return self


def scratch() -> Path:
    """A new folder, in memory where that is possible."""
    return Path(tempfile.mkdtemp(prefix="powercut-", dir=MEMORY if MEMORY.is_dir() else None))


def examine(recording: Recording, seed: int, images: int) -> Figures:
    """Cuts the power `images` times during a recording."""
    chance = Random(seed)
    figures = Figures()
    disk, ledger = recording.disk(), Ledger.starting(recording.before)
    records = load(recording.log)
    at = 0
    for end in sorted(_moments(records, images, chance)):
        for entry in records[at:end]:
            _advance(disk, ledger, entry)
        at = end
        problems, found = verdict(disk.after(Cut.random(chance), chance), ledger)
        figures.images += 1
        figures.confirmed += ledger.confirmed
        figures.found += len(found.alive) + len(found.dead)
        figures.salvaged += bool(found.set_aside)
        figures.add(f"{recording.log.name} at {end} of {len(records)}", problems)
    return figures


def _moments(records: list[Record], images: int, chance: Random) -> list[int]:
    """Some while the journal is opened, some right after a mark, when the most is at stake, some anywhere."""
    told = [n + 1 for n, entry in enumerate(records) if entry.kind == "M"]
    kinds = (range(told[0]), told, range(len(records) + 1))
    return [chance.choice(chance.choice(kinds)) for _ in range(images)]


def _advance(disk: Disk, ledger: Ledger, entry: Record) -> None:
    if entry.kind == "M":
        ledger.read(entry.payload.decode())
    else:
        disk.apply(entry)


def verdict(image: dict[str, bytes], ledger: Ledger) -> tuple[list[str], Contents]:
    """Opens an image; what is wrong with it, and what it holds."""
    folder = scratch()
    try:
        for name, data in image.items():
            (folder / name).write_bytes(data)
        found = inspect(folder / JOURNAL)
        return ledger.verdict(found), found
    except JournalError as error:
        return [f"unusable: {error}"], Contents()
    finally:
        shutil.rmtree(folder)


def chain(
    shim: Path, seed: int, *, links: int, images: int, mutant: str = "", damaged: bool = False
) -> Figures:
    """Recordings, each on what a power cut during the one before left.

    Args:
        shim: see `compile_shim`.
        seed: decides everything but the timing of the children.
        links: the number of recordings.
        images: crash images of each.
        mutant: see the workload.
        damaged: whether each recording but the first begins with a damaged header, and so with a salvage.
    """
    folder = scratch()
    figures = Figures()
    journal = folder / "journal"
    journal.mkdir()
    try:
        for link in range(links):
            log = folder / f"recording-{seed}-{link}"
            number = seed * links + link
            spoiled = damaged and (journal / JOURNAL).exists()
            recording = Recording.make(shim, log, journal, number, mutant=mutant, damaged=spoiled)
            figures += examine(recording, seed, images)
            _leave(journal, recording, Random(seed))
    finally:
        shutil.rmtree(folder)
    return figures


def damage(path: Path) -> None:
    """Makes a journal's header say that it isn't one, in its log; every row is still good."""
    log = path.with_name(path.name + "-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA application_id = 0")
        files = {file: file.read_bytes() for file in (path, log)}
    for file, data in files.items():
        file.write_bytes(data)


def _leave(folder: Path, recording: Recording, chance: Random) -> None:
    """Puts what a power cut at a random moment leaves in the place of what the child left."""
    disk = recording.disk()
    records = load(recording.log)
    for entry in records[: chance.randrange(len(records))]:
        if entry.kind != "M":
            disk.apply(entry)
    shutil.rmtree(folder)
    folder.mkdir()
    for name, data in disk.after(Cut.random(chance), chance).items():
        (folder / name).write_bytes(data)
