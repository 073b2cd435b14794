"""Where the figures were taken, and on which cores."""

import os
import platform
import re
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.contenders import npm


def set_apart(core: int | None) -> None:
    """Keep this process, and the broker that it starts, off the contender's core."""
    if core is not None:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {core})


def last_core() -> int | None:
    """A core for the contender; None where there is but one."""
    cores = os.sched_getaffinity(0)
    return max(cores) if len(cores) > 1 else None


def describe(core: int | None) -> dict[str, str]:
    """What a reader of the figures wants to know."""
    cores = os.sched_getaffinity(0)
    pinned = f"contender on core {core}, everything else on {sorted(cores)}" if core is not None else "none"
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "pinning": pinned,
        "load average before": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": f"{platform.python_version()}, {_build()}",
        "Node": _said_by("node", "--version"),
        "Mosquitto": _said_by("mosquitto", "-h").removeprefix("mosquitto version "),
        **{name: version(name) for name in ("websockets", "paho-mqtt", "aiohttp")},
        **{f"{name} (npm)": wanted for name, wanted in npm.PACKAGES.items()},
    }


def _build() -> str:
    """How the interpreter was built: that makes a fifth of a difference."""
    if sys.base_prefix == "/usr":
        return "the system's package"
    optimised = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    return "built with --enable-optimizations" if optimised else "built without --enable-optimizations"


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _said_by(*command: str) -> str:
    """The first line that a program says."""
    path = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"}
    try:
        said = subprocess.run(command, env=path, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return "none"
    return said.partition("\n")[0]
