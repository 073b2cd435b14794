"""Programs and data of the Node.js world that the tests compare with, installed once per user."""

import fcntl
import json
import subprocess
from pathlib import Path

CACHE = Path.home() / ".cache" / "relay-bridge-tests" / "node"


def installed(*packages: str) -> Path:
    """The folder from which Node.js finds these packages (`name@version`); it is a working directory."""
    folder = CACHE / "-".join(package.replace("/", "+") for package in sorted(packages))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers that start at the same time install once
        complete = folder / ".complete"
        if not complete.exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"]
            (folder / "package.json").write_text(json.dumps({"private": True}))
            subprocess.run([*command, *packages], cwd=folder, check=True, capture_output=True, timeout=100)
            complete.touch()
    return folder


def node(script: str, standard_input: bytes = b"", *, folder: Path | None = None) -> bytes:
    """What an ES module prints."""
    command = ["node", "--input-type=module", "--eval", script]
    run = subprocess.run(
        command, input=standard_input, cwd=folder, capture_output=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout
