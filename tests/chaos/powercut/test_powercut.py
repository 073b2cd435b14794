"""P2: a power cut at any moment loses no delivery whose commit was confirmed, and brings none back."""

import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.budget import budgeted, time_limit
from tests.chaos.powercut.disk import read_folder
from tests.chaos.powercut.images import Figures, Recording, chain
from tests.chaos.powercut.recording import compile_shim
from tests.chaos.powercut.workload import MUTANTS

CHAINS = budgeted(6)
LINKS = 3
IMAGES = 112
"""Of each link of a chain."""

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="the recorder is compiled by gcc")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    # Spawned, since a fork of a process with threads is a gamble.
    with ProcessPoolExecutor(
        min(2, os.cpu_count() or 1), mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        yield pool


def total(figures: Iterator[Figures], record: pytest.FixtureRequest) -> Figures:
    """The sum, shown with `-rA`."""
    whole = Figures()
    for one in figures:
        whole += one
    print(f"{record.node.name}: {whole}")  # noqa: T201  # the figures are what a long run is for
    return whole


@pytest.mark.parametrize("seed", range(3))
def test_a_recording_misses_nothing(shim: Path, tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    recording = Recording.make(shim, tmp_path / "recording", folder, seed)
    assert recording.replayed() == read_folder(folder)[0]


@pytest.mark.timeout(time_limit(480))
def test_a_power_cut_loses_nothing_that_was_confirmed(
    shim: Path, pool: ProcessPoolExecutor, request: pytest.FixtureRequest
) -> None:
    work = partial(chain, shim, links=LINKS, images=IMAGES)
    figures = total(pool.map(work, range(CHAINS)), request)
    assert not figures.problems, figures
    assert not figures.salvaged, "a power cut damages nothing"
    assert figures.images == CHAINS * LINKS * IMAGES
    assert figures.confirmed > figures.images


@pytest.mark.timeout(time_limit(120))
def test_a_power_cut_while_a_damaged_journal_is_saved_loses_nothing(
    shim: Path, pool: ProcessPoolExecutor, request: pytest.FixtureRequest
) -> None:
    work = partial(chain, shim, links=3, images=40, damaged=True)
    figures = total(pool.map(work, range(100, 100 + budgeted(2))), request)
    assert not figures.problems, figures
    assert figures.salvaged > figures.images / 3


@pytest.mark.parametrize("mutant", [name for name in MUTANTS if name])
def test_a_journal_that_breaks_its_promise_is_caught(
    shim: Path, pool: ProcessPoolExecutor, request: pytest.FixtureRequest, mutant: str
) -> None:
    work = partial(chain, shim, links=1, images=60, mutant=mutant)
    figures = total(pool.map(work, range(2)), request)
    assert figures.problems["lost"] > 0
