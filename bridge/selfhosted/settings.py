"""The self-hosted relay's settings file: YAML to `Settings`, with all problems at once.

See `config/relay.yaml` for a file with every key in it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from bridge.secret import Secret
from bridge.selfhosted.nodes import MAX_FILE, Nodes, Problem, SettingsError, is_nothing
from bridge.selfhosted.resources import (
    DEFAULT_INPUT_NAME,
    KIB,
    MIB,
    Bucket,
    Input,
    Limits,
    Output,
    Settings,
    Token,
    derived_id,
)

MAX_SECRET: Final = 64 * KIB

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\xa0-\U0010ffff]{0,4000}")
_REFERENCE: Final = re.compile(r"\$\{(?:file:(?P<file>/[^}\0]+)|(?P<variable>[A-Za-z_][A-Za-z0-9_]*))\}")
_FRAMING: Final = {"connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade"}
_BODILESS: Final = {204, 205, 304}


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
        self._bucket_words: set[str] = set()
        self._input_ids: set[str] = set()

    def settings(self, root: yaml.Node) -> Settings:
        found = self._nodes.fields(root, ("listen", "tokens", "buckets", "limits"))
        for name in ("tokens", "buckets"):
            if name not in found or is_nothing(found[name]):
                self._nodes.refuse(found.get(name, root), f"{name}: at least one is needed")
        given: dict[str, Any] = {}
        if "listen" in found:
            given["host"], given["port"] = self._listen(found["listen"])
        if "limits" in found:
            given["limits"] = self._limits(found["limits"])
        return Settings(
            tokens=self._tokens(found["tokens"]) if "tokens" in found else (),
            buckets=self._buckets(found["buckets"]) if "buckets" in found else (),
            **given,
        )

    def _listen(self, node: yaml.Node) -> tuple[str, int]:
        try:
            # Without quotes, YAML 1.1 takes some of these for numbers in base 60.
            return parse_listen(node.value if isinstance(node, yaml.ScalarNode) else self._nodes.text(node))
        except ValueError as error:
            self._nodes.refuse(node, f"listen: {error}")
            return "", 0

    def _tokens(self, node: yaml.Node) -> tuple[Token, ...]:
        tokens = []
        for key, place, value in self._nodes.entries(node):
            self._name(place, key)
            tokens.append(Token(key, self._secret(value)))
        return tuple(tokens)

    def _secret(self, node: yaml.Node) -> Secret:
        written = self._nodes.filled_text(node)
        reference = _REFERENCE.fullmatch(written)
        if reference is None:
            if "${" in written:
                self._nodes.refuse(node, "a reference is the whole value: ${NAME} or ${file:/path}")
            return Secret(written)
        if reference["file"]:
            return self._secret_file(node, Path(reference["file"]))
        value = self._environ.get(reference["variable"], "")
        if not value:
            self._nodes.refuse(node, f"the environment variable {reference['variable']} is not set")
        return Secret(value)

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

    def _buckets(self, node: yaml.Node) -> tuple[Bucket, ...]:
        return tuple(self._bucket(*entry) for entry in self._nodes.entries(node))

    def _bucket(self, name: str, place: yaml.Node, node: yaml.Node) -> Bucket:
        self._name(place, name)
        found = self._nodes.fields(node, ("id", "inputs", "outputs"))
        bucket_id = self._id(found["id"]) if "id" in found else derived_id(name)
        # A subscriber may ask by name or by ID, so they share one space.
        self._only_once(place, self._bucket_words, {name, bucket_id}, "a bucket has this name or ID already")
        outputs = self._nodes.entries(found["outputs"]) if "outputs" in found else ()
        return Bucket(
            name,
            bucket_id,
            inputs=self._inputs(name, found.get("inputs")),
            outputs=tuple(self._output(*one) for one in outputs),
        )

    def _inputs(self, bucket: str, node: yaml.Node | None) -> tuple[Input, ...]:
        if node is None or is_nothing(node):
            found = [Input(DEFAULT_INPUT_NAME, derived_id(bucket, DEFAULT_INPUT_NAME))]
        else:
            found = [self._input(bucket, *entry) for entry in self._nodes.entries(node)]
        return tuple(found)

    def _input(self, bucket: str, name: str, place: yaml.Node, node: yaml.Node) -> Input:
        self._name(place, name)
        found = self._nodes.fields(node, ("id", "status", "body", "headers"))
        input_id = self._id(found["id"]) if "id" in found else derived_id(bucket, name)
        self._only_once(place, self._input_ids, {input_id}, "an input has this ID already")
        status = self._nodes.integer(found["status"], 200, 599) if "status" in found else 200
        body = self._nodes.text(found["body"]) if "body" in found else ""
        if body and status in _BODILESS:
            self._nodes.refuse(found["body"], f"an answer with status {status} has no body")
        headers = self._headers(found["headers"]) if "headers" in found else ()
        return Input(name, input_id, status, body, headers)

    def _headers(self, node: yaml.Node) -> tuple[tuple[str, str], ...]:
        headers = []
        for name, place, value in self._nodes.entries(node):
            text = self._nodes.text(value)
            if not _HEADER_NAME.fullmatch(name):
                self._nodes.refuse(place, "not a header's name")
            elif name.lower() in _FRAMING:
                self._nodes.refuse(place, f"{name} is the server's own affair")
            elif not _HEADER_VALUE.fullmatch(text):
                self._nodes.refuse(value, "a header can't hold this")
            headers.append((name, text))
        return tuple(headers)

    def _output(self, name: str, place: yaml.Node, node: yaml.Node) -> Output:
        self._name(place, name)
        found = self._nodes.fields(node, ("destination", "internal"))
        if "destination" not in found:
            self._nodes.refuse(place, "destination is needed")
        destination = self._url(found["destination"]) if "destination" in found else ""
        internal = self._nodes.boolean(found["internal"]) if "internal" in found else True
        return Output(name, destination, internal)

    def _url(self, node: yaml.Node) -> str:
        text = self._nodes.filled_text(node)
        try:
            url = urlsplit(text)
            good = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
        except ValueError:
            good = False
        if text and not good:
            self._nodes.refuse(node, "a URL is needed, http://… or https://…")
        return text

    def _limits(self, node: yaml.Node) -> Limits:
        found = self._nodes.fields(node, ("body", "connections", "json_ping", "history_age", "history_bytes"))
        given: dict[str, Any] = {}
        for limit in fields(Limits):
            if limit.name in found:
                given[limit.name] = self._limit(limit.name, found[limit.name])
        return Limits(**given)

    def _limit(self, name: str, node: yaml.Node) -> float:
        match name:
            case "body":
                return self._nodes.size(node, KIB, 12 * MIB)
            case "connections":
                return self._nodes.integer(node, 1, 100_000)
            case "json_ping":
                return self._nodes.duration(node, 1.0, 50.0)  # clients give up after 53 s without one
            case "history_age":
                return self._nodes.duration(node, 0.0, 24 * 3600.0)
            case _:
                return self._nodes.size(node, KIB, 1024 * MIB)

    def _name(self, node: yaml.Node, name: str) -> None:
        if not _NAME.fullmatch(name):
            self._nodes.refuse(node, "a name has 1 to 100 characters, none of them a control character")

    def _id(self, node: yaml.Node) -> str:
        text = self._nodes.filled_text(node)
        if text and not _ID.fullmatch(text):
            self._nodes.refuse(node, "an ID has 1 to 64 letters, digits, - or _")
        return text

    def _only_once(self, place: yaml.Node, seen: set[str], new: set[str], message: str) -> None:
        if seen & new:
            self._nodes.refuse(place, message)
        seen |= new
