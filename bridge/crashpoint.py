"""Named points at which a test has the process die as by `kill -9`.

`RELAY_BRIDGE_CRASH` holds the name of a point, such as `journal.burying`, or `journal.burying:3`: the third
time that it is reached. Without it they do nothing. They stand where a crash is worst, per commit at most.
"""

import os
import signal


class _Fuse:
    """Burns down each time that its point is reached."""

    def __init__(self, spec: str) -> None:
        self.name, _, times = spec.partition(":")
        self.left = int(times or 1)


_fuse: _Fuse | None = None


def arm(spec: str) -> None:
    """Has this process die at a point, `name` or `name:N`; "" disarms it."""
    global _fuse  # noqa: PLW0603  # one process, one death
    _fuse = _Fuse(spec) if spec else None


def crash_at(name: str) -> None:
    """Dies here if this is the point."""
    if _fuse is None or _fuse.name != name:
        return
    _fuse.left -= 1
    if _fuse.left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("RELAY_BRIDGE_CRASH", ""))
