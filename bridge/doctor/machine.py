"""Checks of this machine: files with secrets, the journal's folder and disk, limits of memory."""

import re
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bridge.doctor.finding import Check, Finding, Scribe

MIB: Final = 1024 * 1024
SPARE: Final = 64 * MIB
"""For what else is written to the journal's disk."""

_TO_OTHERS = stat.S_IRWXO | stat.S_IWGRP
_WRITABLE = stat.S_IWOTH | stat.S_IWGRP
_MEMORY_LIMIT = re.compile(r"^\s*Memory(?:Max|High|SwapMax)\s*=\s*(?!infinity)\S", re.MULTILINE)


def check_modes(secret: Iterable[Path], routing: Iterable[Path]) -> list[Finding]:
    """Whether others can read files with secrets, or write these or the routing files."""
    forbidden = dict.fromkeys(routing, _WRITABLE) | dict.fromkeys(secret, _TO_OTHERS)
    return [_mode(path, bits) for path, bits in forbidden.items()]


def _mode(path: Path, forbidden: int) -> Finding:
    write = Scribe(str(path))
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return write.skipped(Check.SECRET_FILES, error.strerror or "it can't be looked at")
    if mode & forbidden:
        what = "read" if mode & forbidden & stat.S_IROTH else "change"
        return write.bad(Check.SECRET_FILES, f"others can {what} it (mode {mode:04o})")
    return write.good(Check.SECRET_FILES, f"mode {mode:04o}")


def check_disk(folder: Path, max_bytes: int, held: int) -> list[Finding]:
    """Whether the journal has a place, and room in it.

    Args:
        folder: the journal's.
        max_bytes: what it may hold.
        held: what it holds already.
    """
    write = Scribe(str(folder))
    try:
        existing = next(one for one in (folder, *folder.parents) if one.exists())
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"relay-bridge")
            probe.flush()
        free = shutil.disk_usage(existing).free
    except OSError as error:
        reason = error.strerror or "it can't be used"
        return [write.bad(Check.STATE_FOLDER, reason), write.skipped(Check.DISK_SPACE, "not writable")]
    return [write.good(Check.STATE_FOLDER), _space(free, max_bytes - held + SPARE, write)]


def _space(free: int, needed: int, write: Scribe) -> Finding:
    said = f"{free // MIB} MiB are free"
    if free < needed:
        return write.bad(Check.DISK_SPACE, f"{said}, and the journal may need {needed // MIB} MiB")
    return write.good(Check.DISK_SPACE, said)


def check_memory(root: Path = Path("/")) -> list[Finding]:
    """Whether limits of memory that are set for the service have an effect."""
    write = Scribe("relay-bridge.service")
    limited = [path for path in _unit_files(root) if _MEMORY_LIMIT.search(_text(path))]
    if not limited:
        return [write.skipped(Check.MEMORY_CGROUP, "no limit is set")]
    groups = root / "sys/fs/cgroup"
    if "memory" in _text(groups / "cgroup.controllers").split() or (groups / "memory").is_dir():
        return [write.good(Check.MEMORY_CGROUP)]
    return [write.bad(Check.MEMORY_CGROUP, f"the limit in {limited[0]} does nothing")]


def _unit_files(root: Path) -> list[Path]:
    folders = [root / parent / "systemd/system" for parent in ("etc", "run", "usr/lib")]
    return [
        path
        for folder in folders
        for path in (folder / "relay-bridge.service", *sorted(folder.glob("relay-bridge.service.d/*.conf")))
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
