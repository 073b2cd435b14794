"""Bodies from a sensor's reading to what the relay takes at most."""

from tests.bench.growth.layout import Layout
from tests.bench.growth.studies import rates
from tests.bench.growth.studies.base import Step, Study

KIB, MIB = 1024, 1024 * 1024
SIZES = (100, KIB, 10 * KIB, 100 * KIB, MIB, 3 * MIB)


def _size(count: int) -> str:
    if count < KIB:
        return f"{count} B"
    return f"{count // KIB} KiB" if count < MIB else f"{count // MIB} MiB"


STUDY = Study(
    name="bodies",
    title="Size of bodies",
    grows="size",
    metrics=(rates.RATE, rates.MEGABYTES, rates.CPU, rates.MEMORY, rates.LOST, rates.REPEATED),
    plotted=("rate", "megabytes"),
    steps=tuple(Step("", size, Layout(body=size)) for size in SIZES),
    run=rates.run,
    show=_size,
)
