"""Targets, each with a connection, a route and a bucket of its own: one route is asked for each webhook."""

from tests.bench.growth.layout import Layout
from tests.bench.growth.studies import rates
from tests.bench.growth.studies.base import Step, Study

TARGETS = (1, 10, 100)

STUDY = Study(
    name="targets",
    title="Targets",
    grows="targets",
    metrics=(rates.RATE, rates.CPU, rates.MEMORY, rates.LOST, rates.REPEATED),
    plotted=("rate", "cpu"),
    steps=tuple(Step("", count, Layout(routes=count, buckets=count, targets=count)) for count in TARGETS),
    run=rates.run,
)
