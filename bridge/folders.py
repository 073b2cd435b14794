"""Where things are on this machine, as systemd and the XDG conventions say."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "relay-bridge"
SYSTEM_CONFIG = Path("/etc/relay-bridge/bridge.yaml")
SYSTEM_RUNTIME = Path("/run") / NAME
"""Where the system service's control socket is."""
SYSTEM_STATE = Path("/var/lib") / NAME
"""The system service's state folder."""
CREDENTIALS = "credentials"
"""The folder of files with secrets, beside the routing file."""
SOCKET_NAME = "control.sock"


@dataclass(frozen=True, slots=True)
class Folders:
    """State survives a restart; the runtime folder holds the control socket."""

    state: Path
    runtime: Path


def folders(environ: Mapping[str, str] = os.environ) -> Folders:
    """`$STATE_DIRECTORY` and `$RUNTIME_DIRECTORY` under systemd, the XDG folders elsewhere.

    Without `$XDG_RUNTIME_DIR` the socket is in the state folder: others could have made one in `/tmp`.
    """
    state = _under_systemd(environ, "STATE_DIRECTORY") or _xdg_state(environ) / NAME
    runtime = environ.get("XDG_RUNTIME_DIR")
    elsewhere = Path(runtime) / NAME if runtime else state
    return Folders(state, _under_systemd(environ, "RUNTIME_DIRECTORY") or elsewhere)


def control_sockets(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where a daemon may listen that a command wants to talk to: the user's own, then the system's."""
    own = folders(environ).runtime / SOCKET_NAME
    return (own,) if environ.get("RUNTIME_DIRECTORY") else (own, SYSTEM_RUNTIME / SOCKET_NAME)


def routing_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`$RELAY_BRIDGE_CONFIG`, else the system's."""
    return Path(environ.get("RELAY_BRIDGE_CONFIG") or SYSTEM_CONFIG)


def state_of(config: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The state folder of the daemon that uses this routing file, as another process sees it."""
    of_service = config == SYSTEM_CONFIG and not environ.get("STATE_DIRECTORY") and SYSTEM_STATE.is_dir()
    return SYSTEM_STATE if of_service else folders(environ).state


def environment_of(config: Path, environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The environment in which references to credentials can be looked up as the daemon does it.

    Where systemd hands them to the system service, root finds them in the files that they come from.
    """
    if config != SYSTEM_CONFIG or environ.get("CREDENTIALS_DIRECTORY"):
        return environ
    return {**environ, "CREDENTIALS_DIRECTORY": str(config.parent / CREDENTIALS)}


def _xdg_state(environ: Mapping[str, str]) -> Path:
    given = environ.get("XDG_STATE_HOME")
    return Path(given) if given else Path.home() / ".local/state"


def _under_systemd(environ: Mapping[str, str], name: str) -> Path | None:
    """Systemd joins several folders by colons; ours is the first."""
    value = environ.get(name, "").partition(":")[0]
    return Path(value) if value else None
