"""The npm packages that are compared, and where they are installed."""

import shutil
from pathlib import Path
from typing import Final

from tests.support.npm import installed

PACKAGES: Final = {"node-red": "4.1.15", "ws": "8.23.0", "mqtt": "5.16.0"}


def modules(*names: str) -> Path:
    """The folder that holds these packages; they are installed at the first call."""
    return installed(*(f"{name}@{PACKAGES[name]}" for name in names)) / "node_modules"


def missing() -> str | None:
    """What this machine lacks to run them; None where nothing."""
    lacking = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"{' and '.join(lacking)} (apt install nodejs npm)" if lacking else None
