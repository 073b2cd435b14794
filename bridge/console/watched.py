"""What the console looks at."""

from typing import Protocol

from bridge.clock_sync import ClockSync
from bridge.console.latency import Latencies
from bridge.operations import Operated
from bridge.passages import Passages


class Watched(Operated, Protocol):
    """The parts of a running daemon that the console shows."""

    passages: Passages
    latencies: Latencies
    clock_sync: ClockSync
