"""Exit statuses after sysexits.h, which systemd and scripts know, and which error ends with which."""

import logging
import sys
from contextlib import suppress
from io import TextIOWrapper

import click

from bridge.config.problems import printable
from bridge.errors import BridgeError, ConfigError, CredentialsRefused, Fault, JournalBusy, RelayError

log = logging.getLogger(__name__)

FAILED = 1
UNAVAILABLE = 69
OTHER_INSTANCE = 75
REFUSED = 77
CONFIGURATION = 78


class DaemonUnavailable(BridgeError):
    """No daemon answers at the control socket."""

    fault = Fault.SYSTEM
    retry = True


def exit_status(error: BridgeError | OSError) -> int:
    """The exit status that says whose fault an error is."""
    match error:
        case JournalBusy():
            return OTHER_INSTANCE
        case CredentialsRefused():
            return REFUSED
        case ConfigError():
            return CONFIGURATION
        case RelayError() | DaemonUnavailable():
            return UNAVAILABLE
        case _:
            return FAILED


def tell(error: BridgeError | OSError) -> int:
    """Say on stderr what went wrong, fit for a terminal; the exit status."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    lines = "\n".join(printable(line) for line in text.split("\n"))
    click.echo(f"relay-bridge: {lines}", err=True)
    log.debug("it came from here", exc_info=error)
    return exit_status(error)


def allow_any_text() -> None:
    """Have a terminal that knows fewer characters get escapes, where it would get a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            with suppress(ValueError):  # it is closed
                stream.reconfigure(errors="backslashreplace")
