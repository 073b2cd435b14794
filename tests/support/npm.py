"""Programs and data of the Node.js world that the tests use, installed once per user.

`python -m tests.support.npm` installs what is pinned with all it depends on, before any test waits for it.
"""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

CACHE: Final = Path.home() / ".cache" / "relay-bridge-tests" / "node"
LOCKED: Final = Path(__file__).parent / "node"
"""A folder for each set of packages, named as `installed` names it, with their package-lock.json."""
_OPTIONS: Final = ("--no-audit", "--no-fund", "--ignore-scripts")


def installed(*packages: str) -> Path:
    """The folder from which Node.js finds these packages (`name@version`); it is a working directory."""
    folder = CACHE / "-".join(package.replace("/", "+") for package in sorted(packages))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers that start at the same time install once
        complete = folder / ".complete"
        if not complete.exists():
            _install(folder, packages)
            complete.touch()
    return folder


def _install(folder: Path, packages: tuple[str, ...]) -> None:
    """By the lock file where there is one, so that no new version of a dependency comes by itself."""
    locked = LOCKED / folder.name
    if locked.is_dir():
        shutil.copytree(locked, folder, dirs_exist_ok=True)
        command = ["npm", "ci", *_OPTIONS]
    else:
        (folder / "package.json").write_text(json.dumps({"private": True}))
        command = ["npm", "install", "--save-exact", *_OPTIONS, *packages]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"npm could not install {' '.join(packages)}: {run.stderr.strip()[-500:]}")


def node(script: str, standard_input: bytes = b"", *, folder: Path | None = None) -> bytes:
    """What an ES module prints."""
    command = ["node", "--input-type=module", "--eval", script]
    run = subprocess.run(
        command, input=standard_input, cwd=folder, capture_output=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout


if __name__ == "__main__":
    for lock_file in sorted(LOCKED.glob("*/package-lock.json")):
        installed(lock_file.parent.name)
