"""How the outcome of a routing file's own tests is shown."""

from bridge.config.problems import printable
from bridge.trial import Trial


def failures(trials: list[Trial]) -> int:
    """How many tests failed."""
    return sum(bool(trial.complaints) for trial in trials)


def report(trials: list[Trial]) -> list[str]:
    """A line for each test, those under a failed one saying why, and the total."""
    lines = []
    for trial in trials:
        place = trial.case.place
        where = f" ({place.source.name}:{place.line})" if trial.complaints else ""
        lines.append(f"{'FAIL' if trial.complaints else 'ok  '} {trial.case.name}{where}")
        lines += [f"     {complaint}" for complaint in trial.complaints]
    failed = failures(trials)
    count = f"{len(trials)} test{'' if len(trials) == 1 else 's'}"
    total = f"{count}, {failed} failed" if trials else "the file has no tests"
    return [printable(line) for line in [*lines, total]]


def as_json(trial: Trial) -> dict[str, object]:
    """A test for machines."""
    place = trial.case.place
    return {
        "name": trial.case.name,
        "passed": not trial.complaints,
        "complaints": trial.complaints,
        "file": place.source.name,
        "line": place.line,
    }
