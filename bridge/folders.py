"""Where things are on this machine, as systemd and the XDG conventions say."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "relay-bridge"
SYSTEM_CONFIG = Path("/etc/relay-bridge/bridge.yaml")


@dataclass(frozen=True, slots=True)
class Folders:
    """State survives a restart; the runtime folder holds the control socket."""

    state: Path
    runtime: Path


def folders(environ: Mapping[str, str] = os.environ) -> Folders:
    """`$STATE_DIRECTORY` and `$RUNTIME_DIRECTORY` under systemd, the XDG folders elsewhere."""
    return Folders(
        state=_under_systemd(environ, "STATE_DIRECTORY")
        or Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / NAME,
        runtime=_under_systemd(environ, "RUNTIME_DIRECTORY")
        or Path(environ.get("XDG_RUNTIME_DIR") or f"/tmp/{NAME}-{os.getuid()}") / NAME,  # noqa: S108  # the control socket checks its mode and owner
    )


def _under_systemd(environ: Mapping[str, str], name: str) -> Path | None:
    """Systemd joins several folders by colons; ours is the first."""
    value = environ.get(name, "").partition(":")[0]
    return Path(value) if value else None


def routing_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`$RELAY_BRIDGE_CONFIG`, else the system's."""
    return Path(environ.get("RELAY_BRIDGE_CONFIG") or SYSTEM_CONFIG)
