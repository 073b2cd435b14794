"""Whether the daemon can do its work."""

import asyncio
from typing import Final

from bridge.console.watched import Watched
from bridge.errors import JournalError

PATIENCE: Final = 2.0
"""Seconds that the journal's thread has to answer."""


async def obstacles(daemon: Watched) -> list[str]:
    """Why the daemon can't do its work; empty where it can.

    A routing file that was rejected is none: the last good one is in use. Nor is a target that is down: what
    is owed to it waits in the journal.
    """
    return [reason for reason in (_relay(daemon), _configuration(daemon), await _journal(daemon)) if reason]


def _relay(daemon: Watched) -> str:
    state = daemon.relay.state()
    if state is None:
        return "relay: not started"
    because = f" ({state.reason})" if state.reason else ""
    return "" if state.name == "subscribed" else f"relay: {state.name}{because}"


def _configuration(daemon: Watched) -> str:
    return "" if daemon.reloader.outcome.generation else "configuration: none is in use yet"


async def _journal(daemon: Watched) -> str:
    if daemon.journal.state.full:
        return f"journal: {daemon.journal.state.full}"
    try:
        async with asyncio.timeout(PATIENCE):
            await daemon.journal.get("heartbeat")
    except TimeoutError:
        return f"journal: no answer within {PATIENCE:g} s"
    except JournalError as error:
        return f"journal: {error}"
    return ""
