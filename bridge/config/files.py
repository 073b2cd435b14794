"""Reading files that others write: bounded, regular files only, and never half a write."""

import stat
from pathlib import Path
from typing import Final

from bridge.errors import ConfigError

TRIES: Final = 5


class FileChanges(ConfigError):
    """The file kept changing while it was read."""


class FileTooLarge(ConfigError):
    """The file is larger than allowed."""


def read_file(path: Path, largest: int) -> bytes:
    """The bytes of a regular file (a pipe or a device could keep us for ever).

    Raises:
        FileTooLarge: it has more than `largest` bytes.
        ConfigError: it can't be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{path} is not a regular file")
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigError(f"{path} can't be read: {reason}") from None
    if len(content) > largest:
        raise FileTooLarge(f"{path} is larger than {largest} bytes")
    return content


def read_settled(path: Path, largest: int) -> bytes:
    """The bytes of a file, read twice alike: half a routing file can be valid too.

    Raises:
        FileChanges: it changed between the readings, again and again.
        ConfigError: as `read_file`.
    """
    before = read_file(path, largest)
    for _ in range(TRIES):
        content = read_file(path, largest)
        if content == before:
            return content
        before = content
    raise FileChanges(f"{path} changes while it is read")


def is_file(path: Path) -> bool:
    """Whether there is a file that we may look at, whatever the path looks like."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, a folder that is closed to us
        return False
