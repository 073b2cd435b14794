"""The figures as Markdown tables, one for each study."""

from typing import Final

from tests.bench.growth.results import Results
from tests.bench.growth.studies.base import Step, Study
from tests.bench.report import number, rounds

MARKERS: Final = (
    "<!-- growth: written by `make growth ARGS=--publish` -->",
    "<!-- end of growth -->",
)


def markdown(results: Results) -> str:
    """Medians of all steps, what is kept of rates, failures, and the machine."""
    tables = [_table(results, study) for study in results.studies]
    machine = [f"- {name}: {value}" for name, value in results.machine.items()]
    notes = [*claims(results), *_failures(results), *machine]
    taken = f"Medians of {rounds(sample.round for sample in results.samples)}."
    return "\n\n".join([*tables, taken, "\n".join(notes)]) + "\n"


def claims(results: Results) -> list[str]:
    """What large steps keep of small ones' rates, as far as both were taken."""
    lines = []
    for study in results.studies:
        for claim in study.claims:
            kept = results.kept(study, claim)
            if kept is not None:
                wanted = f" (at least {claim.least:.0%} is wanted)" if claim.least is not None else ""
                lines.append(f"- {claim.text}: {kept:.0%} of the webhooks per second{wanted}.")
    return lines


def _table(results: Results, study: Study) -> str:
    heads = [f"{metric.title} ({metric.unit})" for metric in study.metrics]
    lines = [f"| {study.title}: {study.grows} | {' | '.join(heads)} |", "|---:|" + "---:|" * len(heads)]
    return "\n".join([*lines, *(_row(results, study, step) for step in study.steps)])


def _row(results: Results, study: Study, step: Step) -> str:
    found = [(metric, results.median(study, metric.key, step)) for metric in study.metrics]
    cells = ["-" if value is None else number(value, metric.digits) for metric, value in found]
    return f"| {_name(study, step)} | {' | '.join(cells)} |"


def _name(study: Study, step: Step) -> str:
    return ", ".join(filter(None, (study.show(step.x), step.line)))


def _failures(results: Results) -> list[str]:
    return [
        f"- failed: {study.name}, {_name(study, step)}, round {one.round}: {one.failure.splitlines()[0]}"
        for one in results.samples
        for study in results.studies
        for step in study.steps
        if one.failure and (one.study, one.line, one.x) == (study.name, step.line, step.x)
    ]
