"""Log lines for people on a terminal, and with priorities for journald."""

import logging
import os
import sys

# sd-daemon(3): a line that begins with <N> has that syslog priority.
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _JournaldFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        prefix = f"<{_PRIORITIES.get(record.levelno, 5)}>"
        return "\n".join(prefix + part for part in line.splitlines())


def set_up_logging(level: str) -> None:
    """Log to stderr. Under systemd the lines carry priorities and leave the time to journald."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(_JournaldFormatter("%(name)s: %(message)s"))
    else:
        line = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
        handler.setFormatter(logging.Formatter(line, "%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("websockets", "watchdog", "aiohttp", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
