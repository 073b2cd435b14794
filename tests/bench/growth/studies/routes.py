"""Routes over buckets, told apart by a header: most are left out unasked, unless they ask how it begins."""

from tests.bench.growth.layout import Layout
from tests.bench.growth.studies import rates
from tests.bench.growth.studies.base import Claim, Step, Study

ROUTES = (10, 100, 1_000, 10_000)
BUCKETS = (1, 10, 1_000)


def _line(buckets: int) -> str:
    return f"{buckets:,} bucket{'' if buckets == 1 else 's'}"


LARGEST = (_line(1_000), 10_000)
STUDY = Study(
    name="routes",
    title="Routes",
    grows="routes",
    metrics=(rates.RATE, rates.CPU, rates.MEMORY, rates.LOST, rates.REPEATED),
    plotted=("rate", "cpu"),
    steps=(
        *(
            Step(_line(buckets), routes, Layout(routes=routes, buckets=buckets))
            for buckets in BUCKETS
            for routes in ROUTES
            if routes >= buckets  # a bucket without routes would not be subscribed to
        ),
        *(Step("1 bucket, prefixes", routes, Layout(routes=routes, prefixes=True)) for routes in ROUTES),
    ),
    run=rates.run,
    claims=(
        Claim("10,000 routes over 1,000 buckets, of 10 routes over 1 bucket", LARGEST, (_line(1), 10), 0.9),
        Claim("10,000 routes over 1,000 buckets, of 100 routes over 10 buckets", LARGEST, (_line(10), 100)),
        Claim("10,000 routes over 1,000 buckets, of 10 routes over 10 buckets", LARGEST, (_line(10), 10)),
    ),
)
