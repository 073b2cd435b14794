"""Where log lines go: to journald with fields, to a terminal as text, to a machine as JSON."""

import logging
import os
import sys

from bridge.logs.journald import JournaldHandler
from bridge.logs.lines import JsonFormatter, PriorityFormatter, TextFormatter

LEVELS = ("debug", "info", "warning", "error")
CHATTY = ("websockets", "watchdog", "aiohttp", "asyncio")
"""Libraries that say more than an operator wants, whatever the level."""


def set_up_logging(level: str, form: str = "text") -> None:
    """Log from now on.

    Args:
        level: one of LEVELS.
        form: `text` for people, with fields where journald reads it; `json` for one object a line.
    """
    logging.basicConfig(level=level.upper(), handlers=[_handler(form)], force=True)
    for library in CHATTY:
        logging.getLogger(library).setLevel(logging.WARNING)


def set_level(level: str) -> str:
    """Log from this one of LEVELS on; the level until now."""
    root = logging.getLogger()
    before = logging.getLevelName(root.level).lower()
    root.setLevel(level.upper())
    return before


def _handler(form: str) -> logging.Handler:
    stderr = logging.StreamHandler(sys.stderr)
    if form == "json":
        stderr.setFormatter(JsonFormatter())
    elif not _stderr_is_journald():
        stderr.setFormatter(TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    elif JournaldHandler.listens():
        return JournaldHandler()
    else:
        stderr.setFormatter(PriorityFormatter("%(name)s: %(message)s"))
    return stderr


def _stderr_is_journald() -> bool:
    """As systemd.exec(5) says: the variable alone proves nothing, a shell in a service inherits it."""
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
