"""Reading the file's own tests: a webhook as people write it, and what is expected to be sent for it."""

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from bridge.config.grammar_tests import GIVEN
from bridge.config.model import Case, Expectation
from bridge.config.nodes import parse
from bridge.config.problems import Code, Problems, Source, did_you_mean, quoted
from bridge.config.reader import Invalid, Reader
from bridge.config.records import Fields
from bridge.config.secrets import Secrets
from bridge.config.templates import refers
from bridge.errors import ConfigError
from bridge.routing.table import UNMATCHED
from bridge.webhook import Webhook

RECEIVED_AT: Final = 1_767_225_600.0
"""When a test's webhook is received, always: 2026-01-01T00:00:00Z."""
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"

_PAIR: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
Texts = str | list[str]


class CaseBuilder:
    """Builds the tests of a file and of what it includes; `routes` are the names of its routes."""

    def __init__(self, routes: Iterable[str], reader: Reader) -> None:
        self._routes = {*routes, UNMATCHED}
        self._reader = reader

    def cases(self, file: Fields) -> list[Case]:
        """The tests of one file; those with a mistake are left out."""
        built = []
        for fields in file.usable("tests", []):
            try:
                built.append(self._case(fields))
            except Invalid:
                continue
        return built

    def _case(self, fields: Fields) -> Case:
        return Case(
            name=fields["name"],
            webhook=webhook_of(fields["given"], RECEIVED_AT, self._reader),
            expect=tuple(map(self._expectation, fields["expect"])),
            place=fields.node.position,
            verified=fields["given"]["verified"],
            secret=refers(fields.node),
        )

    def _expectation(self, fields: Fields) -> Expectation:
        route = fields["route"]
        if route and route not in self._routes:
            hint = did_you_mean(route, self._routes)
            raise self._reader.wrong(
                Code.UNKNOWN_NAME, fields.node_of("route"), f"unknown route {quoted(route)}", hint
            )
        return Expectation(route, {key: fact for key, fact in _given(fields).items() if key != "route"})


def _given(fields: Fields) -> dict[str, Any]:
    """What the file says, without defaults."""
    values = {key: fields[key] for key in fields if fields.given(key)}
    return {key: _given(one) if isinstance(one, Fields) else one for key, one in values.items()}


def webhook_of(given: Fields, received_at: float, reader: Reader) -> Webhook:
    """The webhook that a `given` describes.

    Raises:
        Invalid: it has a mistake, which is noted.
    """
    headers = {name.lower(): tuple(_list(values)) for name, values in given["headers"].items()}
    raw, content_type = _body(given, reader)
    if content_type:
        headers.setdefault("content-type", (content_type,))
    return Webhook(
        **{key: given[key] for key in ("id", "bucket", "input", "output", "method")},
        bucket_id="",
        input_id="",
        destination=given["path"],
        query_string=_encoded(given["query"]),
        headers=headers,
        raw=raw,
        received_at=received_at,
    )


def parse_given(text: str, name: str, received_at: float) -> tuple[Webhook, bool]:
    """The webhook that a YAML or JSON mapping describes as a test's `given` does, and its `verified`.

    A `${` is nothing special in it.

    Raises:
        ConfigError: the mapping has a mistake; the message names each.
    """
    problems = Problems()
    reader = Reader(problems, _Verbatim())
    mapping = parse(Source(name, _PAIR.sub(_character, text)), problems)
    if mapping is not None:
        try:
            given = GIVEN.read(mapping, reader)
            webhook = webhook_of(given, received_at, reader)
            if not problems.errors:
                return webhook, given["verified"]
        except Invalid:
            pass  # its problem is among the others
    if any(problem.code is Code.EMPTY for problem in problems):
        raise ConfigError("it holds no mapping with `bucket`, `body` and so on")
    raise ConfigError("\n".join(problem.render() for problem in problems))


def _character(pair: re.Match[str]) -> str:
    """JSON writes 😀 as two escapes (RFC 8259, section 7), which YAML does not know."""
    return pair[0].encode("ascii").decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16")


class _Verbatim(Secrets):
    """Fills in nothing: a webhook's text may hold anything."""

    def fill(self, text: str, complain: object) -> str:  # noqa: ARG002  # there is nothing to complain of
        return text


def _body(given: Fields, reader: Reader) -> tuple[bytes, str]:
    """The body's bytes, and the content type that goes without saying."""
    if given.given("form"):
        if given.given("body"):
            raise reader.wrong(Code.CONFLICT, given.node_of("form"), "a webhook has either `form` or `body`")
        return _encoded(given["form"]).encode(), FORM
    body = given["body"]
    if isinstance(body, str):
        return body.encode(), ""
    try:
        return orjson.dumps(body), JSON
    except TypeError as error:  # an integer of more than 64 bits
        message = f"JSON can't hold this: {error}"
        raise reader.wrong(Code.BAD_VALUE, given.node_of("body"), message) from None


def _encoded(fields: dict[str, Texts]) -> str:
    return urlencode([(name, value) for name, values in fields.items() for value in _list(values)])


def _list(values: Texts) -> list[str]:
    return [values] if isinstance(values, str) else values
