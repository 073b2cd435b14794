"""What the settings of a Mosquitto on this machine say, found by its process."""

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

DEFAULT_PORT: Final = 1883
MOST_LINES: Final = 10_000
_FLAGS: Final = ("-c", "--config-file")
_LISTENS: Final = re.compile(r"(?:listener|port)\s+(\d+)")

Lines = list[str]


def settings_of(port: int, proc: Path = Path("/proc")) -> Lines | None:
    """The lines of the settings of the Mosquitto that listens on a port; None where they can't be read."""
    for file in _settings_files(proc):
        try:
            lines = list(_lines(file)) if file else []
        except OSError:
            continue
        ports = {int(found[1]) for line in lines if (found := _LISTENS.match(line))}
        if port in (ports or {DEFAULT_PORT}):
            return lines
    return None


def is_persistent(lines: Lines) -> bool:
    """Whether it keeps sessions and retained messages on disk; the last word counts."""
    said = [line.split()[1:2] for line in lines if line.split()[0] == "persistence"]
    return bool(said) and said[-1] == ["true"]


def _settings_files(proc: Path) -> Iterator[Path | None]:
    """Of each Mosquitto that runs; None for one that runs without a file."""
    for process in proc.glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended
            continue
        if Path(arguments[0]).name == "mosquitto":
            named = [after for flag, after in pairwise(arguments) if flag in _FLAGS]
            yield Path(named[0]) if named else None


def _lines(file: Path, *, includes: bool = True) -> Iterator[str]:
    """Those that say something, with those of the folder that the file includes."""
    with file.open(errors="replace") as text:
        for line in islice(text, MOST_LINES):
            said = line.strip()
            if said.startswith("include_dir ") and includes:
                for other in sorted(Path(said.split(maxsplit=1)[1]).glob("*.conf")):
                    yield from _lines(other, includes=False)
            elif said and not said.startswith("#"):
                yield said
