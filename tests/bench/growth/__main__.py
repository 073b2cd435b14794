"""`python -m tests.bench.growth`: takes the figures, prints them and writes them down."""

import signal
import sys
from pathlib import Path
from typing import Final

import click

from tests.bench import machine
from tests.bench.growth.plot import svg
from tests.bench.growth.report import MARKERS, markdown
from tests.bench.growth.results import Results, Sample
from tests.bench.growth.rounds import play
from tests.bench.growth.studies import NAMES, studies
from tests.bench.measures.base import Lengths
from tests.bench.report import inserted

LENGTHS: Final = Lengths(warm_up=2.0, saturated=5.0, paced=2.0)
QUICK: Final = Lengths(warm_up=1.0, saturated=2.0, paced=1.0)
DOCS: Final = Path(__file__).parents[3] / "docs"


@click.command()
@click.option("--quick", is_flag=True, help="Shorter steps, and a backlog of 10,000 at most.")
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True, help="How often.")
@click.option("--study", "names", type=click.Choice(NAMES), multiple=True, help="These.")
@click.option("--most", type=click.IntRange(1000), help="Largest backlog; 100,000 unless told.")
@click.option("--core", type=int, default=machine.last_core, help="The bridge's core; -1: no pinning.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/bench"), show_default=True)
@click.option("--publish", is_flag=True, help="Also put tables and plot into docs/.")
def main(
    quick: bool,
    rounds: int,
    names: tuple[str, ...],
    most: int | None,
    core: int | None,
    output: Path,
    publish: bool,
) -> None:
    """Measure how the bridge's figures grow. docs/performance.md says how."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    core = None if core == -1 else core
    machine.set_apart(core)
    most = most or (10_000 if quick else 100_000)
    wanted = [study for study in studies(most) if not names or study.name in names]
    results = Results(machine.describe(core), wanted)

    def keep(sample: Sample) -> None:
        _tell(sample)
        _write(results, output)

    play(results, rounds, QUICK if quick else LENGTHS, core, keep)
    if publish:
        _publish(results)
    click.echo(markdown(results))


def _tell(sample: Sample) -> None:
    figures = ", ".join(f"{key} {value:,.4g}" for key, value in sample.values.items())
    step = " ".join(filter(None, (sample.study, f"{sample.x:,}", sample.line)))
    click.echo(f"{sample.round} {step}: {sample.failure or figures}", err=True)


def _write(results: Results, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "growth.json").write_text(results.as_json())
    (output / "growth.md").write_text(markdown(results))
    (output / "growth.svg").write_text(svg(results))


def _publish(results: Results) -> None:
    document = DOCS / "performance.md"
    content = f"![Growth](growth.svg)\n\n{markdown(results)}"
    document.write_text(inserted(document.read_text(), content, MARKERS))
    (DOCS / "growth.svg").write_text(svg(results))


if __name__ == "__main__":
    main()
