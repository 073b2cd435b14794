"""What is measured, each in a module of its own; a new measure is a module and a line here."""

from tests.bench.measures import backlog, disk, idle, latency, outage, saturated
from tests.bench.measures.base import Measure

MEASURES: tuple[Measure, ...] = (
    saturated.DEEP,
    saturated.SHALLOW,
    latency.MEASURE,
    idle.MEASURE,
    backlog.MEASURE,
    disk.MEASURE,
    outage.MEASURE,
    saturated.HTTP,
)
QUICK: tuple[Measure, ...] = (saturated.DEEP, idle.MEASURE)
"""What a first look takes."""
