"""Shows that the tests would notice: applies each deliberate defect to a copy and has its tests fail.

Run as `python -m tests.chaos.mutants`, or with some words of the defects' names. It prints a table, and ends
with 1 where a defect goes unnoticed. First the tests run without any defect, since a test that fails anyway
proves nothing.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.defects import DEFECTS, Defect

ROOT = Path(__file__).parents[2]
LIMIT = 900
"""Seconds for the tests of one defect."""
FAILED = 1
"""Pytest's exit status where tests ran and some failed; another one proves nothing."""


def copied(to: Path) -> Path:
    """The tree without what is made, or hidden."""
    made = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "build", "dist")
    return shutil.copytree(ROOT, to / "tree", ignore=made)


def run(tree: Path, tests: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Pytest up to the first failure."""
    options = ("-x", "-q", "-rf", "-p", "no:cacheprovider", "--tb=no")
    command = [sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=LIMIT, check=False)


def catcher(defect: Defect, folder: Path) -> str:
    """The test that fails because of a defect; "" where none does."""
    tree = copied(folder)
    for edit in defect.edits:
        edit.apply(tree)
    done = run(tree, defect.tests)
    found = re.search(r"^FAILED tests/(\S+)", done.stdout, re.MULTILINE)
    return found[1] if done.returncode == FAILED and found else ""


def healthy(defects: Sequence[Defect]) -> bool:
    """Whether their tests pass without a defect."""
    with tempfile.TemporaryDirectory() as folder:
        done = run(copied(Path(folder)), sorted({test for defect in defects for test in defect.tests}))
    if done.returncode:
        say(done.stdout[-3000:])
    return done.returncode == 0


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # a command's output


def main(words: Sequence[str]) -> int:
    """See the module."""
    defects = [one for one in DEFECTS if not words or any(word in one.name for word in words)]
    if not defects:
        say("no defect has such a name: " + "; ".join(one.name for one in DEFECTS))
        return 2
    if not healthy(defects):
        say("the tests fail without any defect, so they prove nothing")
        return 1
    survivors = 0
    say("| Defect | Row | Caught by | Seconds |\n|---|---|---|---|")
    for defect in defects:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            test = catcher(defect, Path(folder))
        survivors += not test
        caught = f"`{test}`" if test else "**not caught**"
        say(f"| {defect.name} | {defect.row} | {caught} | {time.monotonic() - began:.0f} |")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
