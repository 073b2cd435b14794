"""A reload of the routing file while webhooks come: how soon it is in use, and how long they wait for it."""

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Any

from bridge.folders import SOCKET_NAME
from tests.bench.contenders.bridge import FILE, RUNTIME
from tests.bench.growth.layout import FOLDER, Layout
from tests.bench.growth.studies import rates
from tests.bench.growth.studies.base import RigFor, Step, Study
from tests.bench.measures.backlog import settle
from tests.bench.measures.base import Lengths, Metric, Values
from tests.bench.rig import ContenderFailed

ROUTES = (10, 100, 1_000, 10_000)
EACH_BUCKET = 10
RATE = 200
LIMIT = 120.0
"""Seconds for the answer."""


def run(step: Step, rig_for: RigFor, lengths: Lengths) -> Values:
    """Change every route's topic, and ask for a reload at once."""
    with rig_for(step.layout) as rig, ThreadPoolExecutor(1) as executor:
        rig.load.pace(RATE, lengths.warm_up)
        rig.load.drain(5)
        settle(rig)
        rig.load.tally.restart()
        began = time.monotonic()
        reloading = executor.submit(reload, rig.folder)
        while not reloading.done() or time.monotonic() - began < lengths.paced:
            rig.load.pace(RATE, 0.1)
        rig.load.drain(5)
        latencies = [nanoseconds / 1e6 for nanoseconds in rig.load.tally.latencies]
        if len(latencies) < 100:
            raise ContenderFailed(f"only {len(latencies)} webhooks arrived")
        return {
            "seconds": reloading.result(),
            "p99": quantiles(latencies, n=100)[98],
            "longest": max(latencies),
            "lost": rig.load.tally.outstanding,
            "repeated": rig.load.tally.repeated,
        }


def reload(folder: Path) -> float:
    """Seconds from writing the file to the new generation's being in use.

    Raises:
        ContenderFailed: it is not.
    """
    file = folder / FILE
    text = file.read_text()
    began = time.monotonic()
    file.write_text(text.replace(f'"{FOLDER}/', f'"{FOLDER}/changed/'))
    answer = _ask(folder / RUNTIME / SOCKET_NAME)
    seconds = time.monotonic() - began
    if answer.get("outcome") != "applied":
        raise ContenderFailed(f"the reload ended with {answer}")
    return seconds


def _ask(path: Path) -> Any:
    """What the control socket answers as soon as the reload is over."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(LIMIT)
    try:
        connection.sock.connect(str(path))
        connection.request("POST", "/reload", "{}", {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


STUDY = Study(
    name="reload",
    title="Reload",
    grows="routes",
    metrics=(
        Metric("seconds", "in use after", "s", 3),
        Metric("p99", f"latency p99 meanwhile, at {RATE}/s", "ms", 1),
        Metric("longest", "longest latency meanwhile", "ms", 1),
        rates.LOST,
        rates.REPEATED,
    ),
    plotted=("seconds", "longest"),
    steps=tuple(Step("", count, Layout(routes=count, buckets=count // EACH_BUCKET)) for count in ROUTES),
    run=run,
)
