"""The recipes: complete routing files, each with tests of its own that pass."""

import re
from pathlib import Path

import pytest

from bridge.config.loader import load
from bridge.config.model import Config
from bridge.trial import run_cases

ROOT = Path(__file__).parent.parent
RECIPES = sorted((ROOT / "config" / "recipes").glob("*.yaml"))
PAGE = (ROOT / "docs" / "recipes.md").read_text()

recipes = pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])


def loaded(path: Path) -> Config:
    environment = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)\}", path.read_text()), "s3cret")
    result = load(path, environment=environment)
    assert result.config is not None, result.report()
    assert result.problems == (), result.report()
    return result.config


@recipes
def test_it_loads_and_its_tests_pass(path: Path) -> None:
    trials = run_cases(loaded(path))
    assert [(trial.case.name, trial.complaints) for trial in trials if trial.complaints] == []
    assert len(trials) >= 3


@recipes
def test_each_of_its_routes_is_tested_and_so_is_what_it_leaves_alone(path: Path) -> None:
    config = loaded(path)
    tested = {expected.route for case in config.cases for expected in case.expect}
    assert tested == {route.name for route in config.table.routes}
    assert any(case.expect == () for case in config.cases)


@recipes
def test_where_it_verifies_every_route_does_and_a_forgery_is_tested(path: Path) -> None:
    config = loaded(path)
    verified = [route.name for route in config.table.routes if route.verifier is not None]
    assert verified in ([], [route.name for route in config.table.routes])
    forged = [case for case in config.cases if not case.verified]
    assert bool(forged) == bool(verified)
    assert all(case.expect == () for case in forged)


@recipes
def test_a_forgery_fails_for_its_signature_alone(path: Path) -> None:
    """Else its test would pass whatever the verifier says."""
    config = loaded(path)
    for case in config.cases:
        if not case.verified:
            routed = config.table.route(case.webhook)
            assert routed.rejected
            assert not routed.matched


@recipes
def test_no_secret_stands_in_it(path: Path) -> None:
    text = path.read_text()
    for secret in re.findall(r"(?:secrets?|key|token|Authorization): *(.*)", text):
        assert re.match(r"\[?\"?(Bearer )?\$\{[A-Z_]+\}", secret) or not secret, secret


def test_the_page_lists_every_recipe_once() -> None:
    listed = re.findall(r"\(\.\./config/recipes/([\w-]+\.yaml)\)", PAGE)
    assert sorted(listed) == [path.name for path in RECIPES]
    assert len(RECIPES) == 10
