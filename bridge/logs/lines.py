"""A log record as text or JSON. What a sender wrote can neither steer a terminal nor fake a line."""

import json
import logging
from datetime import UTC, datetime

# sd-daemon(3): a line that begins with <N> has that syslog priority.
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

FIELDS = ("bucket", "code", "route", "seconds", "state", "target", "webhook")
"""What a record may say about its event, by `extra={"route": …}`; the names are part of the interface."""

LONGEST_FIELD = 1000


def priority(record: logging.LogRecord) -> int:
    """Its syslog priority, 2 (critical) to 7 (debug)."""
    return _PRIORITIES.get(record.levelno, 5)


def fields(record: logging.LogRecord) -> dict[str, str]:
    """What it says about its event, each on one bounded, printable line."""
    said = ((name, getattr(record, name, None)) for name in FIELDS)
    return {name: printable(str(value)[:LONGEST_FIELD]) for name, value in said if value is not None}


def printable(line: str) -> str:
    """With everything escaped that could steer a terminal, or end the line."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)


class TextFormatter(logging.Formatter):
    """Escapes what could steer a terminal; indents a message's further lines: none can pass for another."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines."""
        return "\n    ".join(printable(line) for line in super().format(record).split("\n"))


class PriorityFormatter(TextFormatter):
    """Puts its priority before each line, for a journald that reads stderr only."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines."""
        prefix = f"<{priority(record)}>"
        return "\n".join(prefix + line for line in super().format(record).split("\n"))


class JsonFormatter(logging.Formatter):
    """One object a line, all of it ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": super().format(record),  # a traceback included
        }
        return json.dumps(entry | fields(record))
