"""The buckets of the relay's settings file: YAML nodes to values, every problem noted at its place."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import yaml

from bridge.secret import Secret
from bridge.selfhosted.documents import LONGEST_CALL, MOST_RETRIES
from bridge.selfhosted.nodes import Nodes, is_nothing
from bridge.selfhosted.resources import (
    ANY_OUTPUT,
    DEFAULT_INPUT_NAME,
    LONGEST_TIMEOUT,
    Auth,
    Bucket,
    Input,
    Output,
    derived_id,
    output_id,
)
from bridge.selfhosted.rules import BadRule, Rule, parse_rule
from bridge.selfhosted.template import BadTemplate, check_template
from bridge.selfhosted.values import (
    BODILESS,
    BadValue,
    check_header_name,
    check_header_value,
    check_host,
    check_id,
    check_name,
    check_path,
    check_url,
    parse_rate,
)

T = TypeVar("T")

_INPUT: Final = ("id", "status", "body", "template", "headers", "response_from_output", "timeout")
_INPUT_ADDRESS: Final = ("host", "path", "rate_limit")
_OUTPUT: Final = ("destination", "internal", "lock_path", "headers", "rules", "timeout", "retries")


class BucketReader:
    """Turns nodes into buckets; notes what is wrong and goes on.

    Args:
        nodes: reads values, and collects the problems.
        secret: reads a secret, which may be a reference.
    """

    def __init__(self, nodes: Nodes, secret: Callable[[yaml.Node], Secret]) -> None:
        self._nodes = nodes
        self._secret = secret
        self._words: set[str] = set()
        self._input_ids: set[str] = set()
        self._addresses: set[str] = set()

    def buckets(self, node: yaml.Node) -> tuple[Bucket, ...]:
        """All of them."""
        return tuple(self._bucket(*entry) for entry in self._nodes.entries(node))

    def _bucket(self, name: str, place: yaml.Node, node: yaml.Node) -> Bucket:
        self._check(check_name, place, name)
        found = self._nodes.fields(node, ("id", "auth", "ephemeral", "inputs", "outputs"))
        bucket_id = self._checked(check_id, found.get("id")) or derived_id(name)
        # A subscriber may ask by name or by ID, so they share one space.
        self._only_once(place, self._words, {name, bucket_id}, "a bucket has this name or ID already")
        nodes = self._nodes.entries(found["outputs"]) if "outputs" in found else ()
        outputs = tuple(self._output(*one) for one in nodes)
        words = _words(bucket_id, outputs)
        inputs = self._inputs(name, words, found.get("inputs"))
        auth = self._auth(found["auth"]) if "auth" in found else None
        ephemeral = self._flag(found, "ephemeral", default=False)
        return Bucket(name, bucket_id, inputs, outputs, auth=auth, ephemeral=ephemeral)

    def _auth(self, node: yaml.Node) -> Auth | None:
        found = self._nodes.fields(node, ("username", "password", "token"))
        if set(found) == {"token"}:
            return Auth(None, self._secret(found["token"]))
        if set(found) == {"username", "password"}:
            username = self._nodes.filled_text(found["username"])
            if ":" in username:
                self._nodes.refuse(found["username"], "a username has no colon")
            return Auth(username, self._secret(found["password"]))
        self._nodes.refuse(node, "auth: a username and a password are needed, or a token")
        return None

    # Inputs

    def _inputs(self, bucket: str, outputs: Mapping[str, str], node: yaml.Node | None) -> tuple[Input, ...]:
        if node is None or is_nothing(node):
            found = [Input(DEFAULT_INPUT_NAME, derived_id(bucket, DEFAULT_INPUT_NAME))]
        else:
            found = [self._input(bucket, outputs, *entry) for entry in self._nodes.entries(node)]
        return tuple(found)

    def _input(
        self, bucket: str, outputs: Mapping[str, str], name: str, place: yaml.Node, node: yaml.Node
    ) -> Input:
        self._check(check_name, place, name)
        found = self._nodes.fields(node, (*_INPUT, *_INPUT_ADDRESS))
        input_id = self._checked(check_id, found.get("id")) or derived_id(bucket, name)
        self._only_once(place, self._input_ids, {input_id}, "an input has this ID already")
        status = self._nodes.integer(found["status"], 200, 599) if "status" in found else 200
        return Input(
            name,
            input_id,
            status,
            self._body(found, status),
            self._headers(found["headers"]) if "headers" in found else (),
            template=self._flag(found, "template", default=False),
            **self._waits(found, outputs),
            **self._address(found, place),
        )

    def _body(self, found: Mapping[str, yaml.Node], status: int) -> str:
        if "body" not in found:
            return ""
        body = self._nodes.text(found["body"])
        if body and status in BODILESS:
            self._nodes.refuse(found["body"], f"an answer with status {status} has no body")
        if self._flag(found, "template", default=False):
            self._check(check_template, found["body"], body)
        return body

    def _address(self, found: Mapping[str, yaml.Node], place: yaml.Node) -> dict[str, Any]:
        """Its own host name and path, and how often it may be asked."""
        host, path = (
            self._checked(check_host, found.get("host")),
            self._checked(check_path, found.get("path")),
        )
        if host or path:
            self._only_once(place, self._addresses, {host + path}, "an input has this host and path already")
        rate = found.get("rate_limit")
        parsed = None if rate is None else self._check(parse_rate, rate, self._nodes.text(rate))
        return {"host": host, "path": path, "rate": parsed}

    def _waits(self, found: Mapping[str, yaml.Node], outputs: Mapping[str, str]) -> dict[str, Any]:
        """Whose answer an input waits for, and how long."""
        if "response_from_output" not in found:
            if "timeout" in found:
                self._nodes.refuse(
                    found["timeout"], "timeout: nobody is waited for; add response_from_output"
                )
            return {}
        node = found["response_from_output"]
        word = self._nodes.filled_text(node)
        if word and word not in outputs:
            self._nodes.refuse(node, f"{ANY_OUTPUT} is needed, or the name or ID of an output")
        waits: dict[str, Any] = {"response_from_output": outputs.get(word)}
        if "timeout" in found:
            waits["timeout"] = self._nodes.duration(found["timeout"], 0.01, LONGEST_TIMEOUT)
        return waits

    # Outputs

    def _output(self, name: str, place: yaml.Node, node: yaml.Node) -> Output:
        self._check(check_name, place, name)
        found = self._nodes.fields(node, _OUTPUT)
        if "destination" not in found:
            self._nodes.refuse(place, "destination is needed")
        given: dict[str, Any] = {}
        if "timeout" in found:
            given["timeout"] = self._nodes.duration(found["timeout"], 1.0, LONGEST_CALL)
        if "retries" in found:
            given["retries"] = self._nodes.integer(found["retries"], 0, MOST_RETRIES)
        return Output(
            name,
            self._checked(check_url, found.get("destination")),
            self._flag(found, "internal", default=True),
            lock_path=self._flag(found, "lock_path", default=False),
            headers=self._headers(found["headers"]) if "headers" in found else (),
            rules=self._rules(found["rules"]) if "rules" in found else None,
            **given,
        )

    def _rules(self, node: yaml.Node) -> Rule | None:
        try:
            return parse_rule(self._nodes.plain(node))
        except BadRule as error:
            self._nodes.refuse(node, f"rules: {error}")
            return None

    # Both

    def _headers(self, node: yaml.Node) -> tuple[tuple[str, str], ...]:
        headers = []
        for name, place, value in self._nodes.entries(node):
            text = self._nodes.text(value)
            self._check(check_header_name, place, name)
            self._check(check_header_value, value, text)
            headers.append((name, text))
        return tuple(headers)

    def _flag(self, found: Mapping[str, yaml.Node], name: str, *, default: bool) -> bool:
        return self._nodes.boolean(found[name]) if name in found else default

    def _checked(self, check: Callable[[str], object], node: yaml.Node | None) -> str:
        """Text that a check finds good; "" where there is none."""
        if node is None:
            return ""
        text = self._nodes.filled_text(node)
        if text:
            self._check(check, node, text)
        return text

    def _check(self, check: Callable[[str], T], place: yaml.Node, text: str) -> T | None:
        try:
            return check(text)
        except (BadValue, BadTemplate) as error:
            self._nodes.refuse(place, str(error))
            return None

    def _only_once(self, place: yaml.Node, seen: set[str], new: set[str], message: str) -> None:
        if seen & new:
            self._nodes.refuse(place, message)
        seen |= new


def _words(bucket_id: str, outputs: Iterable[Output]) -> dict[str, str]:
    """What `response_from_output` can say, and what that stands for; `anyOutput` is the service's word."""
    words = {ANY_OUTPUT: ANY_OUTPUT, "anyOutput": ANY_OUTPUT}
    for one in outputs:
        words |= {one.name: one.name, output_id(bucket_id, one.name): one.name}
    return words
