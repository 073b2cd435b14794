"""The self-hosted relay's settings file: YAML to `Settings`, with all problems at once.

See `config/relay.yaml` for a file with every key in it.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import yaml

from bridge.secret import Secret
from bridge.selfhosted.declared import BucketReader
from bridge.selfhosted.engines import EngineReader
from bridge.selfhosted.nodes import MAX_FILE, Nodes, Problem, SettingsError, is_nothing
from bridge.selfhosted.registry import NOT_EPHEMERAL
from bridge.selfhosted.resources import KIB, MIB, Limits, Network, Settings, TlsFiles, Token
from bridge.selfhosted.values import BadValue, check_name, check_url
from bridge.selfhosted.vault import VaultError, parse_key

MAX_SECRET: Final = 64 * KIB


_REFERENCE: Final = re.compile(
    r"\$\{(?:file:(?P<file>/[^}\0]+)|credential:(?P<credential>(?!\.{1,2}\})[A-Za-z0-9._-]+)"
    r"|(?P<variable>[A-Za-z_][A-Za-z0-9_]*))\}"
)
_DURATIONS: Final = {
    "json_ping": (1.0, 50.0),  # clients give up after 53 s without one
    "history_age": (0.0, 24 * 3600.0),
    "log_age": (0.0, 8760 * 3600.0),
}
_SIZES: Final = {"body": 12 * MIB, "history_bytes": 1024 * MIB, "log_bytes": 1024 * 1024 * MIB}


def read_settings(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read a settings file.

    Raises:
        SettingsError: naming every problem and its place.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise SettingsError([Problem(1, 1, f"can't be read: {error.strerror}")], str(path)) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError([Problem(line, 1, "not UTF-8")], str(path)) from error
    if len(data) > MAX_FILE:
        raise SettingsError([Problem(1, 1, f"larger than {MAX_FILE // KIB} KiB")], str(path))
    return parse_settings(text, environ, file=str(path))


def parse_settings(text: str, environ: Mapping[str, str], *, file: str = "relay.yaml") -> Settings:
    """Settings from a file's text.

    Raises:
        SettingsError: naming every problem and its place.
    """
    nodes = Nodes()
    root = nodes.parse(text)
    settings = None if root is None else _Builder(nodes, environ).settings(root)
    if settings is None or nodes.problems:
        raise SettingsError(nodes.problems, file)
    return settings


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8080`, `[::1]:8080` or `:8080` (every address).

    Raises:
        ValueError: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address is written in brackets, [::1]:8080")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("HOST:PORT is needed, such as 127.0.0.1:8080")
    return host, int(port)


class _Builder:
    """Turns nodes into values; notes what is wrong and goes on."""

    def __init__(self, nodes: Nodes, environ: Mapping[str, str]) -> None:
        self._nodes = nodes
        self._environ = environ

    def settings(self, root: yaml.Node) -> Settings:
        readers = self._readers()
        found = self._nodes.fields(root, ("listen", *readers))
        self._check_place(root, found)
        given = {name: readers[name](node) for name, node in found.items() if name in readers}
        if "listen" in found:
            given["host"], given["port"] = self._listen("listen", found["listen"])
        if "engine" in found and any(one.ephemeral for one in given.get("buckets", ())):
            self._nodes.refuse(found["buckets"], NOT_EPHEMERAL)
        return Settings(**({"tokens": (), "buckets": ()} | given))

    def _check_place(self, root: yaml.Node, found: Mapping[str, yaml.Node]) -> None:
        """What is made has to be kept somewhere, in one place."""
        if "engine" in found:
            for name in found.keys() & {"state", "state_key"}:
                self._nodes.refuse(found[name], f"{name}: with an engine, nothing is kept in a folder")
        elif "state" not in found:
            # Nobody could make others, or nobody would remember them.
            for name in ("tokens", "buckets"):
                if name not in found or is_nothing(found[name]):
                    self._nodes.refuse(
                        found.get(name, root), f"{name}: at least one is needed without a state or an engine"
                    )

    def _readers(self) -> dict[str, Callable[[yaml.Node], Any]]:
        """What reads each key that is a setting by the same name."""
        return {
            "public_url": self._public_url,
            "tls": self._tls,
            "trusted_proxies": self._networks,
            "manage": partial(self._listen, "manage"),
            "state": partial(self._path, "state"),
            "state_key": self._state_key,
            "engine": EngineReader(self._nodes, self._secret).nats,
            "tokens": self._tokens,
            "buckets": BucketReader(self._nodes, self._secret).buckets,
            "limits": self._limits,
        }

    def _listen(self, name: str, node: yaml.Node) -> tuple[str, int]:
        try:
            # Without quotes, YAML 1.1 takes some of these for numbers in base 60.
            return parse_listen(node.value if isinstance(node, yaml.ScalarNode) else self._nodes.text(node))
        except ValueError as error:
            self._nodes.refuse(node, f"{name}: {error}")
            return "", 0

    def _networks(self, node: yaml.Node) -> tuple[Network, ...]:
        networks = []
        for one in self._nodes.items(node):
            try:
                networks.append(ip_network(self._nodes.text(one)))
            except ValueError:
                self._nodes.refuse(one, "an address or a network is needed, such as 10.0.0.0/8")
        return tuple(networks)

    def _public_url(self, node: yaml.Node) -> str:
        text = self._nodes.filled_text(node)
        try:
            check_url(text)
        except BadValue as error:
            self._nodes.refuse(node, f"public_url: {error}")
        return text.rstrip("/")

    def _path(self, name: str, node: yaml.Node) -> Path:
        path = Path(self._nodes.filled_text(node))
        if not path.is_absolute():
            self._nodes.refuse(node, f"{name}: an absolute path is needed")
        return path

    def _tls(self, node: yaml.Node) -> TlsFiles | None:
        found = self._nodes.fields(node, ("certificate", "key"))
        if len(found) < 2:
            self._nodes.refuse(node, "tls: certificate and key are needed")
            return None
        return TlsFiles(*(self._path(name, found[name]) for name in ("certificate", "key")))

    def _state_key(self, node: yaml.Node) -> Secret:
        key = self._secret(node)
        try:
            parse_key(key.reveal())
        except VaultError as error:
            self._nodes.refuse(node, f"state_key: {error}")
        return key

    def _tokens(self, node: yaml.Node) -> tuple[Token, ...]:
        tokens = []
        for key, place, value in self._nodes.entries(node):
            try:
                check_name(key)
            except BadValue as error:
                self._nodes.refuse(place, str(error))
            tokens.append(Token(key, self._secret(value)))
        return tuple(tokens)

    def _secret(self, node: yaml.Node) -> Secret:
        written = self._nodes.filled_text(node)
        reference = _REFERENCE.fullmatch(written)
        if reference is None:
            if "${" in written:
                self._nodes.refuse(
                    node, "a reference is the whole value: ${NAME}, ${file:/path} or ${credential:name}"
                )
            return Secret(written)
        if reference["file"]:
            return self._secret_file(node, Path(reference["file"]))
        if reference["credential"]:
            return self._credential(node, reference["credential"])
        value = self._environ.get(reference["variable"], "")
        if not value:
            self._nodes.refuse(node, f"the environment variable {reference['variable']} is not set")
        return Secret(value)

    def _credential(self, node: yaml.Node, name: str) -> Secret:
        """One that systemd hands to the service: https://systemd.io/CREDENTIALS."""
        folder = Path(self._environ.get("CREDENTIALS_DIRECTORY", ""))
        if not folder.is_absolute():
            self._nodes.refuse(node, "there are no credentials: CREDENTIALS_DIRECTORY is not set")
            return Secret("")
        return self._secret_file(node, folder / name)

    def _secret_file(self, node: yaml.Node, path: Path) -> Secret:
        try:
            with path.open("rb") as file:
                text = file.read(MAX_SECRET).decode().rstrip("\r\n")
        except OSError as error:
            self._nodes.refuse(node, f"{str(path)!a} can't be read: {error.strerror}")
            return Secret("")
        except UnicodeDecodeError:
            text = ""
        if not text:
            self._nodes.refuse(node, f"{str(path)!a} holds no text")
        return Secret(text)

    def _limits(self, node: yaml.Node) -> Limits:
        found = self._nodes.fields(node, ("connections", *_SIZES, *_DURATIONS))
        given: dict[str, Any] = {}
        for limit in fields(Limits):
            if limit.name in found:
                given[limit.name] = self._limit(limit.name, found[limit.name])
        return Limits(**given)

    def _limit(self, name: str, node: yaml.Node) -> float:
        if name == "connections":
            return self._nodes.integer(node, 1, 100_000)
        if name in _DURATIONS:
            return self._nodes.duration(node, *_DURATIONS[name])
        return self._nodes.size(node, KIB, _SIZES[name])
