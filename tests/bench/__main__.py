"""`python -m tests.bench`: takes the figures, prints them and writes them down."""

import signal
import sys
from pathlib import Path

import click

from tests.bench import machine
from tests.bench.chart import svg
from tests.bench.check import generator_rate
from tests.bench.contenders import CONTENDERS
from tests.bench.contenders.base import Contender
from tests.bench.measures import MEASURES, QUICK
from tests.bench.measures.base import QUICK as QUICK_LENGTHS
from tests.bench.measures.base import Lengths
from tests.bench.report import inserted, markdown
from tests.bench.results import Results, Sample
from tests.bench.rounds import play

NAMES = [contender.name for contender in CONTENDERS]
ROUNDS = 3
DOCS = Path(__file__).parents[2] / "docs"


@click.command()
@click.option("--quick", is_flag=True, help="One short round of the two main measures.")
@click.option("--rounds", type=click.IntRange(1), help=f"How often; {ROUNDS} unless told, 1 with --quick.")
@click.option("--only", type=click.Choice(NAMES), multiple=True, help="These contenders.")
@click.option(
    "--measure", "names", type=click.Choice([m.name for m in MEASURES]), multiple=True, help="These."
)
@click.option("--core", type=int, default=machine.last_core, help="The contender's core; -1: no pinning.")
@click.option("--check", is_flag=True, help="Only say how fast the load generator itself is.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/bench"), show_default=True)
@click.option("--publish", is_flag=True, help="Also put table and chart into docs/.")
def main(
    quick: bool,
    rounds: int | None,
    only: tuple[str, ...],
    names: tuple[str, ...],
    core: int | None,
    check: bool,
    output: Path,
    publish: bool,
) -> None:
    """Measure the bridge beside what one might use instead. docs/performance.md says how."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    core = None if core == -1 else core
    machine.set_apart(core)
    if check:
        click.echo(f"load generator to a null reader: {generator_rate(core):,.0f} webhooks/s")
        return
    measures = [m for m in MEASURES if m.name in names] or (QUICK if quick else MEASURES)
    contenders = [c for c in CONTENDERS if (not only or c.name in only) and _prepared(c)]
    results = Results(machine.describe(core), contenders, measures)

    def keep(sample: Sample) -> None:
        _tell(sample)
        _write(results, output)

    play(results, rounds or (1 if quick else ROUNDS), QUICK_LENGTHS if quick else Lengths(), core, keep)
    if publish:
        _publish(results)
    click.echo(markdown(results))


def _prepared(contender: Contender) -> bool:
    if contender.missing:
        click.echo(f"{contender.title} is left out, it needs {contender.missing}", err=True)
        return False
    contender.prepare()
    return True


def _tell(sample: Sample) -> None:
    figures = ", ".join(f"{key} {value:,.4g}" for key, value in sample.values.items())
    click.echo(f"{sample.round} {sample.measure} {sample.contender}: {sample.failure or figures}", err=True)


def _write(results: Results, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(results.as_json())
    (output / "results.md").write_text(markdown(results))
    (output / "chart.svg").write_text(svg(results))


def _publish(results: Results) -> None:
    document = DOCS / "performance.md"
    document.write_text(inserted(document.read_text(), f"![Figures](performance.svg)\n\n{markdown(results)}"))
    (DOCS / "performance.svg").write_text(svg(results))


if __name__ == "__main__":
    main()
