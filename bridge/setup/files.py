"""Writing the files of a new installation: never over what is there, unless that is wanted."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.errors import BridgeError, Fault
from bridge.folders import CREDENTIALS
from bridge.setup.starter import UNIT, Starter

SYSTEMD: Final = Path("/etc/systemd/system")
PRIVATE: Final = 0o600
PUBLIC: Final = 0o644


class FileThere(BridgeError):
    """A file is there already, and is left as it was."""

    fault = Fault.SYSTEM


class NotWritable(BridgeError):
    """The folder takes no files from this user."""

    fault = Fault.SYSTEM


@dataclass(frozen=True, slots=True)
class NewFile:
    """One file to write."""

    path: Path
    text: str
    mode: int


def new_files(starter: Starter, file: Path, units: Path = SYSTEMD) -> list[NewFile]:
    """The files of an installation, the routing file last: a daemon that watches it finds the others."""
    folder = file.parent / CREDENTIALS
    found = [NewFile(folder / name, f"{text}\n", PRIVATE) for name, text in starter.secrets.items()]
    if starter.as_service:
        found.append(NewFile(units / f"{UNIT}.d" / "credentials.conf", starter.drop_in(folder), PUBLIC))
    return [*found, NewFile(file, starter.routing, PUBLIC)]


def refuse_existing(paths: Iterable[Path]) -> None:
    """Make sure that none of these is there.

    Raises:
        FileThere: one is.
    """
    for path in paths:
        if os.path.lexists(path):
            raise FileThere(f"{path} is there already; --force replaces it, and keeps it as {path.name}.old")


def refuse_unwritable(folder: Path) -> None:
    """Make sure that files can be written to a folder, which need not be there yet.

    Raises:
        NotWritable: they can't.
    """
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    if not os.access(existing, os.W_OK | os.X_OK) or not existing.is_dir():
        raise NotWritable(f"nothing can be written to {existing}: run this as its owner, or as root")


def write(files: Iterable[NewFile], *, force: bool) -> None:
    """Write files, each whole or not at all.

    Args:
        files: what to write.
        force: whether what is there is replaced; it is kept with `.old` after its name.

    Raises:
        FileThere: a file is there, and `force` is not given; those before it are written.
        OSError: a file can't be written.
    """
    for one in files:
        private = one.mode == PRIVATE
        one.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)
        _write(one, force=force)


def _write(one: NewFile, *, force: bool) -> None:
    descriptor, name = tempfile.mkstemp(dir=one.path.parent, prefix=".relay-bridge-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(one.text)
            file.flush()
            os.fchmod(descriptor, one.mode)
            os.fsync(descriptor)
        if force:
            with suppress(FileNotFoundError):
                one.path.rename(one.path.with_name(f"{one.path.name}.old"))
        try:
            os.link(name, one.path)  # unlike a rename, it never replaces
        except FileExistsError:
            raise FileThere(f"{one.path} is there already, and was left as it was") from None
    finally:
        Path(name).unlink()
