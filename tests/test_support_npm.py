"""What the tests install from npm is what was locked, and is installed once."""

import json

from tests.bench.contenders.npm import PACKAGES
from tests.support.node_red import PACKAGE
from tests.support.npm import LOCKED, installed


def test_node_red_is_locked_and_the_same_everywhere() -> None:
    name, version = PACKAGE.split("@")
    lock = json.loads((LOCKED / PACKAGE / "package-lock.json").read_text())
    assert lock["packages"][f"node_modules/{name}"]["version"] == version == PACKAGES[name]
    alone = [package for path, package in lock["packages"].items() if path and not package.get("inBundle")]
    assert all("integrity" in package for package in alone)


def test_what_is_installed_is_not_installed_again() -> None:
    folder = installed(PACKAGE)
    made = (folder / "node_modules").stat().st_mtime_ns
    assert installed(PACKAGE) == folder
    assert (folder / "node_modules").stat().st_mtime_ns == made
    assert json.loads((folder / "node_modules/node-red/package.json").read_text())["version"] in PACKAGE
