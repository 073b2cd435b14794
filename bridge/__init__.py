"""Relay Bridge: webhooks from a public relay onto local MQTT topics and HTTP services.

The package's public interface is what `__all__` names; names are loaded when they are first used,
so that a command that needs none of them starts fast.
"""

from typing import TYPE_CHECKING, Any

from bridge.version import __version__

if TYPE_CHECKING:
    from bridge.errors import BridgeError, CredentialsRefused, RelayError
    from bridge.relay.client import RelayClient
    from bridge.webhook import Webhook

__all__ = ["BridgeError", "CredentialsRefused", "RelayClient", "RelayError", "Webhook", "__version__"]

_HOMES = {
    "BridgeError": "bridge.errors",
    "CredentialsRefused": "bridge.errors",
    "RelayClient": "bridge.relay.client",
    "RelayError": "bridge.errors",
    "Webhook": "bridge.webhook",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module  # noqa: PLC0415  # late, as all that follows from it

    if name not in _HOMES:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
