"""P1: kill -9 at any moment: nothing accepted is lost, and only what was unsettled comes twice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.budget import budgeted, time_limit
from tests.chaos.journal_judge import Judge
from tests.chaos.journal_kills import HTTP
from tests.chaos.powercut.recording import ROOT

CYCLES = 500
KILLERS = 4
"""At a time: the lives are short, and mostly spent waiting."""
POINTS = {
    "journal.before-commit": (1, 2, 3, 5, 8),
    "journal.after-commit": (1, 2, 3, 5, 8),
    "journal.burying": (1, 2, 3, 5, 8),
    "journal.before-checkpoint": (1,),
    "target.claimed": (1, 30, 60, 120),
    "target.unacknowledged": (1, 30, 60, 120),
    "target.unmarked": (1, 30, 60, 120),
}
"""Each with the times that it is reached before the crash: a child takes its time to have work."""


def start(folder: Path, seed: int, cycles: int, *points: str) -> "subprocess.Popen[str]":
    folder.mkdir()
    command = [
        sys.executable,
        "-m",
        "tests.chaos.journal_kills",
        str(folder),
        str(seed),
        str(cycles),
        *points,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def figures(killer: "subprocess.Popen[str]", request: pytest.FixtureRequest) -> dict[str, Any]:
    """What came of it, shown with `-rA`; judged as far as every run is judged alike."""
    output, _ = killer.communicate()
    assert killer.returncode == 0
    print(f"{request.node.name}: {output}")  # noqa: T201  # the figures are what a long run is for
    found: dict[str, Any] = json.loads(output)
    assert not found["examples"]
    assert (found["lost"], found["disordered"], found["unexplained"]) == (0, 0, 0)
    assert found["most_duplicates"] <= found["most_in_flight"] + found["most_unmarked"]
    assert found["accepted"] <= found["delivered"] + found["dead"]
    return found


@pytest.mark.timeout(time_limit(120))
def test_kill_9_loses_nothing_that_was_accepted(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    share = budgeted(CYCLES // KILLERS)
    killers = [start(tmp_path / str(seed), seed, share) for seed in range(KILLERS)]
    for killer in killers:
        found = figures(killer, request)
        assert found["killed"] == share
        assert found["accepted"] > share / 2
        assert found["duplicates"] > 0, "the children were killed while there was something to lose"


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_the_worst_moment_loses_nothing_that_was_accepted(
    tmp_path: Path, request: pytest.FixtureRequest, point: str
) -> None:
    times = POINTS[point]
    found = figures(start(tmp_path / "journal", 1, 2, *(f"{point}:{n}" for n in times)), request)
    assert found["survivors"] == []
    assert found["killed"] == 2 + len(times)
    assert found["accepted"] > 0


A, B = f"{HTTP} a 1", f"{HTTP} a 2"


@pytest.mark.parametrize(
    ("story", "fault"),
    [
        ((f"handed {A}", f"accepted {A}", "life", "dead [[]]"), "lost"),
        ((f"sent {B}", f"received {B}", f"sent {A}", f"received {A}"), "disordered"),
        (
            (f"handed {A}", f"received {A}", f"answered {A}", f"removed {A}", "life", f"received {A}"),
            "unexplained",
        ),
        ((f"received {A}", f"answered {A}", "life", f"received {A}"), "unexplained"),
    ],
)
def test_the_judge_finds(story: tuple[str, ...], fault: str) -> None:
    judge = Judge()
    for line in ("life", *story, "life"):
        judge.read(line)
    verdict = judge.verdict()
    assert [getattr(verdict, name) for name in ("lost", "disordered", "unexplained")].count(0) == 2
    assert getattr(verdict, fault) > 0
    assert verdict.examples[0].startswith(fault)


def test_the_judge_forgives_what_was_unsettled() -> None:
    judge = Judge()
    for line in ("life", f"sent {A}", f"received {A}", "life", f"sent {A}", f"received {A}", "life"):
        judge.read(line)
    verdict = judge.verdict()
    assert (verdict.duplicates, verdict.unexplained, verdict.most_in_flight) == (1, 0, 1)
