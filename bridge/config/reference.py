"""The reference page of the routing file, made of the grammar: `python -m bridge.config.reference`."""

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Final

from bridge.config import grammar
from bridge.config.conditions import COMBINATORS, FAMILIES, OPERATORS, SOURCES, MatchShape
from bridge.config.containers import ByKind, ListOf, MappingOf, Placed
from bridge.config.records import REQUIRED, Key, Record, Tagged
from bridge.config.shapes import Choice, Shape
from bridge.config.templates import OrderShape, TemplateIn

INTRODUCTION: Final = """\
# The routing file, key by key

Every key that the file can have, with its default. Nothing but `routes` and the relay's credentials has to
be written. Taken together, the examples on this page are one routing file that works.

`relay-bridge check` names every mistake in a file ([what they mean](errors.md)). `relay-bridge schema`
prints a JSON Schema, with which an editor completes and explains the keys: keep it beside the file, and
start the file with

```yaml fragment
# yaml-language-server: $schema=relay-bridge.schema.json
```

* A text can hold `${NAME}` (from the environment), `${file:/path}` and `${credential:name}` (of systemd).
  They are filled in after the file is parsed; `$${` stands for `${`. Relative paths start at its folder.
* Text with `{{ … }}` is a Jinja2 template where the tables say so. It needs quotes if it starts with that.
* Durations have a unit (`20ms`, `15s`, `5m`, `72h`), and so have sizes (`512B`, `64KiB`, `256MiB`, `1GiB`).
* YAML is read as version 1.2: `yes`, `on` and `12:30` are text.
"""

EXAMPLES: Final[Mapping[str, str]] = {
    "node": "node: pi\n",
    "relay": "relay:\n  key: ${RELAY_KEY}\n  secret: ${RELAY_SECRET}\n",
    "brokers": """\
brokers:
  home:
    url: mqtts://broker.example
    username: bridge
    password: ${MQTT_PASSWORD}
""",
    "services": """\
services:
  nodered:
    url: http://127.0.0.1:1880
    headers: {Authorization: "Bearer ${NODERED_TOKEN}"}
    retry: {attempts: 5, longest: 1m}
""",
    "verifiers": """\
verifiers:
  gh: {scheme: github, secrets: ["${GH_NEW}", "${GH_OLD}"]}
""",
    "defaults": "defaults: {qos: 1, expire_after: 24h}\n",
    "routes": """\
routes:
  - name: doorbell
    match:
      bucket: doorbell
      body.event: [ring, knock]
      not: {header.user-agent: {startswith: curl/}}
    send:
      - mqtt: home/doorbell/{{ body.door }}/{{ body.event }}
        payload: {door: "{{ body.door }}", at: "{{ received_at }}"}
        kind: event
      - http: /doorbell
        service: nodered
    reply: {from: http, timeout: 5s, status: 202, body: "{{ body.door }} will be told"}
    rate: {limit: 10, per: 1m, burst: 20}
    expect: {every: 24h, grace: 1h}
""",
    "unmatched": "unmatched: dead\n",
    "include": "include: [routes.d/*.yaml]\n",
    "tests": """\
tests:
  - name: a ring reaches the hall
    given: {bucket: doorbell, body: {event: ring, door: front}}
    expect:
      - {route: doorbell, mqtt: home/doorbell/front/ring}
      - {route: doorbell, http: "http://127.0.0.1:1880/doorbell"}
      - {route: doorbell, reply: {from: http, status: 202, body: front will be told}}
""",
    "reload": "reload: {require_tests: true}\n",
    "journal": "journal: {max_bytes: 64MiB, when_full: drop_oldest}\n",
    "console": 'console: {listen: 0.0.0.0:8765, token: "${CONSOLE_TOKEN}"}\n',
    "status": "status: {broker: home, discovery: homeassistant}\n",
    "gaps": "gaps: {horizon: 6h}\n",
}
"""By key at the top of the file."""


def reference() -> str:
    """The page, in Markdown."""
    return "\n".join([INTRODUCTION, *_Page().parts()])


class _Page:
    """Knows under which heading each record is described."""

    def __init__(self) -> None:
        self._headings: dict[int, str] = {}
        for key in grammar.FILE.keys:
            for heading, record in records_in(key.shape, key.name):
                self._headings.setdefault(id(record), heading)

    def parts(self) -> Iterator[str]:
        yield self._table(grammar.FILE)
        for key in grammar.FILE.keys:
            yield from self._section(key)
        yield "## Conditions\n\nWhat `match` holds: sources with values, all of which must fit.\n"
        yield _rows(("source", "meaning"), {**SOURCES} | {name: said for name, (_, said) in FAMILIES.items()})
        yield "A value alone must be equal, of a list any. All operators of a mapping must hold:\n"
        yield _rows(("operator", "meaning"), {name: said for name, (_, said) in OPERATORS.items()})
        yield "Beside sources there can be combinations:\n"
        yield _rows(("key", "meaning"), COMBINATORS)

    def _section(self, key: Key) -> Iterator[str]:
        yield f"## {key.name}\n\n{key.description}\n"
        yield f"```yaml fragment\n{EXAMPLES[key.name]}```\n"
        for heading, record in records_in(key.shape, key.name):
            if self._headings[id(record)] == heading:
                if heading != key.name:
                    yield f"### {heading}\n"
                yield self._table(record)

    def _table(self, record: Record) -> str:
        rows = {k.name: f"{self._value(k.shape)} | {_default(k)} | {k.description}" for k in record.keys}
        return _rows(("key", "value", "default", "meaning"), rows)

    def _value(self, shape: Shape) -> str:
        """What can stand there, with links to where it is described."""
        inner = shape.shape if isinstance(shape, Placed) else shape
        match inner:
            case Record():
                return _link("a mapping", self._headings[id(inner)])
            case Tagged(records=records):
                return " or ".join(_link(f"`{tag}:`", self._headings[id(record)]) for tag, record in records)
            case ListOf(item=item):
                return f"a list of: {self._value(item)}"
            case MappingOf(value=value):
                return f"names, each with {self._value(value)}"
            case ByKind():
                return ", or ".join(map(self._value, inner.ways))
        return _leaf(inner)


def _leaf(shape: Shape) -> str:
    """What can stand there, for a shape that holds no others."""
    match shape:
        case MatchShape():
            return _link("conditions", "Conditions")
        case Choice(words=words):
            return (" or " if len(words) < 3 else ", ").join(map(_code, words))
        case TemplateIn() | OrderShape():
            return f"{shape.expects}: {_code(shape.json_schema()['examples'][0])}"
    return shape.expects


def records_in(shape: Shape, path: str) -> Iterator[tuple[str, Record]]:
    """The records in a shape with the paths to them, outer ones first."""
    match shape:
        case Record():
            yield path, shape
            for key in shape.keys:
                yield from records_in(key.shape, f"{path}.{key.name}")
        case Tagged(records=records):
            for tag, record in records:
                yield from records_in(record, f"{path} with {tag}")
        case ListOf(item=inner) | MappingOf(value=inner):
            yield from records_in(inner, path)
        case ByKind():
            for way in shape.ways:
                yield from records_in(way, path)


def _default(key: Key) -> str:
    if key.default is REQUIRED:
        return "**required**"
    written = key.written_default
    if written is None or written == "":
        return ""
    return _code(str(written).lower() if isinstance(written, bool) else str(written))


def _rows(header: tuple[str, ...], rows: Mapping[str, str]) -> str:
    """A table; `rows` are its other cells by the word in the first."""
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    lines += [f"{_code(name)} | {cells}" for name, cells in rows.items()]
    return "".join(f"| {line} |\n" for line in lines)


def _link(text: str, heading: str) -> str:
    anchor = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
    return f"[{text}](#{anchor})"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
