"""The `engine` of the relay's settings file: YAML nodes to values, every problem noted at its place."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from bridge.errors import BridgeError, Fault
from bridge.secret import Secret
from bridge.selfhosted.nodes import Nodes
from bridge.selfhosted.resources import NatsSettings

_FILES: Final = ("ca", "certificate", "key")
_KEYS: Final = ("nats", "user", "password", *_FILES, "replicas")
_REPLICAS: Final = (1, 3, 5)


class EngineMissing(BridgeError):
    """What the engine needs is not installed."""

    fault = Fault.CONFIGURATION


def check_nats() -> None:
    """See that the engine on NATS can be imported.

    Raises:
        EngineMissing: it can't.
    """
    if find_spec("nats") is None:
        raise EngineMissing("an engine on NATS needs nats-py: pip install 'relay-bridge[nats]'")


class EngineReader:
    """Turns nodes into settings; notes what is wrong and goes on."""

    def __init__(self, nodes: Nodes, secret: Callable[[yaml.Node], Secret]) -> None:
        self._nodes = nodes
        self._secret = secret

    def nats(self, node: yaml.Node) -> NatsSettings:
        """An engine."""
        found = self._nodes.fields(node, _KEYS)
        if "nats" not in found:
            self._nodes.refuse(
                node, "nats: the URL of a NATS server is needed, such as nats://127.0.0.1:4222"
            )
        given: dict[str, Any] = {one: self._path(found[one]) for one in _FILES if one in found}
        if "user" in found:
            given["user"] = self._nodes.filled_text(found["user"])
        if "password" in found:
            given["password"] = self._secret(found["password"])
        if "replicas" in found:
            given["replicas"] = self._replicas(found["replicas"])
        self._check_pairs(node, found)
        return NatsSettings(self._servers(found["nats"]) if "nats" in found else (), **given)

    def _check_pairs(self, node: yaml.Node, found: dict[str, yaml.Node]) -> None:
        for pair in (("user", "password"), ("certificate", "key")):
            if len(found.keys() & set(pair)) == 1:
                self._nodes.refuse(node, f"{pair[0]}, {pair[1]}: one is of no use without the other")
        if "certificate" in found and "ca" not in found:
            self._nodes.refuse(node, "ca: needed beside a certificate")

    def _servers(self, node: yaml.Node) -> tuple[str, ...]:
        entries = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not entries:
            self._nodes.refuse(node, "at least one URL is needed")
        return tuple(self._server(one) for one in entries)

    def _server(self, node: yaml.Node) -> str:
        text = self._nodes.filled_text(node)
        try:
            url = urlsplit(text)
            good = url.scheme in {"nats", "tls"} and bool(url.hostname) and url.port != 0
        except ValueError:
            good = False
        if not good:
            self._nodes.refuse(node, "a URL is needed such as nats://127.0.0.1:4222")
        elif "@" in url.netloc:
            self._nodes.refuse(node, "credentials don't belong in a URL: there are user and password")
        return text

    def _path(self, node: yaml.Node) -> Path:
        path = Path(self._nodes.filled_text(node))
        if not path.is_absolute():
            self._nodes.refuse(node, "an absolute path is needed")
        return path

    def _replicas(self, node: yaml.Node) -> int:
        count = self._nodes.integer(node, 1, max(_REPLICAS))
        if count not in _REPLICAS:
            self._nodes.refuse(node, "1, 3 or 5 is needed")
        return count
