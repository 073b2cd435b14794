"""Loaded by Python into a bridge under test, before its own code: see ../insider.py, which puts it there."""

import asyncio
import os
import signal
import time
from pathlib import Path

from bridge.message import Delivery
from bridge.relay import backoff
from bridge.targets import mqtt_session
from bridge.targets.http import HttpTarget

STANDSTILL = 600.0
HURRIED = 0.02
"""Seconds."""


def stand_still(*_: object) -> None:
    """What a loop over a huge input does, or a call that blocks: nothing else runs on this thread."""
    answer("here")
    time.sleep(STANDSTILL)


def count_tasks(*_: object) -> None:
    """Tells how many tasks the event loop has."""
    answer(str(len(asyncio.all_tasks())))


def answer(text: str) -> None:
    """Has the test read it, whole."""
    place = Path(os.environ["CHAOS_ANSWER"])
    fresh = place.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(place)


def hurry() -> None:
    """Comes back from every loss at once: a thousand of them would take half a day."""
    setattr(backoff.Backoff, "after", lambda *_: HURRIED)  # noqa: B010  # mypy refuses the plain assignment
    setattr(mqtt_session.Backoff, "next", lambda *_, **__: HURRIED)  # noqa: B010  # mypy refuses it


def die_of(text: str) -> None:
    """Kills the process as it sends a webhook with this text to a service, before anything is on the wire."""
    send = HttpTarget.send

    def fatal(self: HttpTarget, delivery: Delivery) -> None:
        if text in delivery.webhook.text:
            os.kill(os.getpid(), signal.SIGKILL)
        send(self, delivery)

    setattr(HttpTarget, "send", fatal)  # noqa: B010  # mypy refuses the plain assignment


signal.signal(signal.SIGUSR1, stand_still)
signal.signal(signal.SIGUSR2, count_tasks)
if "CHAOS_HURRIED" in os.environ:
    hurry()
if "CHAOS_FATAL" in os.environ:
    die_of(os.environ["CHAOS_FATAL"])
