"""The page of errors, made of an example for each code: `python -m tests.support.error_examples`.

Each example is loaded when the page is made, so the page says what `relay-bridge check` says.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bridge.config.loader import load
from bridge.config.problems import Code, Problem
from bridge.trial import problems_of, run_cases

ENVIRONMENT: Final = {"RELAY_KEY": "key", "RELAY_SECRET": "secret"}
INTRODUCTION: Final = """\
# What `relay-bridge check` says

Every kind of problem has a number that never changes its meaning: E for an error, with which the file is not
used, W for a warning, with which it is. Here is what each means, with a mistake, what is said about it, and
the same without the mistake. The examples leave out what is not at issue.
"""
_RELAY: Final = "relay: {key: a, secret: b}\n"
_SEND: Final = "    send:\n      - mqtt: home/doorbell\n"
_TEST: Final = "tests:\n  - name: it rings\n    given: {bucket: doorbell}\n    expect:\n"


@dataclass(frozen=True, slots=True)
class Example:
    """A mistake, and the same without it."""

    meaning: str
    wrong: str
    right: str
    encoding: str = "utf-8"
    """Of the wrong one."""
    language: str = "yaml"
    """Anything else is told, and not loaded."""


EXAMPLES: Final[Mapping[Code, Example]] = {
    Code.UNREADABLE: Example(
        "The file, or one that it includes, is missing, is closed to the user that the bridge runs as, or is "
        "no regular file.",
        "include: [routes.d]\n",
        "include: [routes.d/*.yaml]\n",
    ),
    Code.UNSTABLE: Example(
        "The file was read several times, and was different each time: something keeps writing to it. Half a "
        "file can be valid too, so none of it is used. Write to another file, and rename that.",
        "make-routes > bridge.yaml\n",
        "make-routes > bridge.yaml.new && mv bridge.yaml.new bridge.yaml\n",
        language="sh",
    ),
    Code.TOO_LARGE: Example(
        "A file has at most 4 MiB and 32 levels, and includes at most 1000 others.",
        f"unmatched:\n  - mqtt: lost\n    payload: {'[' * 30}deep{']' * 30}\n",
        "unmatched:\n  - mqtt: lost\n    payload: [shallow]\n",
    ),
    Code.NOT_TEXT: Example(
        "The file holds bytes that are not UTF-8, often because an editor saved it in another encoding.",
        "node: pi  # saved as Latin-1: Küche\n",
        "node: pi  # saved as UTF-8: Küche\n",
        encoding="latin-1",
    ),
    Code.SYNTAX: Example(
        "The file can't be read as YAML, so nothing behind this place was looked at.",
        f"routes:\n  - name: doorbell\n    when: {{{{ body.door == 'front' }}}}\n{_SEND}",
        f"routes:\n  - name: doorbell\n    when: \"{{{{ body.door == 'front' }}}}\"\n{_SEND}",
    ),
    Code.EMPTY: Example(
        "At the top of the file there are keys such as `relay` and `routes`, not a list or nothing.",
        "- name: doorbell\n  send:\n    - mqtt: home/doorbell\n",
        f"routes:\n  - name: doorbell\n{_SEND}",
    ),
    Code.DUPLICATE_KEY: Example(
        "YAML would use the last one, and nobody would see that the first is gone.",
        "unmatched:\n  - mqtt: lost/here\n    mqtt: lost/there\n",
        "unmatched:\n  - mqtt: lost/here\n  - mqtt: lost/there\n",
    ),
    Code.YAML_FEATURE: Example(
        "What a routing file says, it says where it stands. Secrets come from references.",
        "relay:\n  key: ${RELAY_KEY}\n  secret: !secret relay\n",
        "relay:\n  key: ${RELAY_KEY}\n  secret: ${RELAY_SECRET}\n",
    ),
    Code.WRONG_TYPE: Example(
        "Text, number, list or mapping: something else was expected here.",
        "routes:\n  - name: doorbell\n    send:\n      mqtt: home/doorbell\n",
        f"routes:\n  - name: doorbell\n{_SEND}",
    ),
    Code.UNKNOWN_KEY: Example(
        "A key that is not known here is misspelt, or in the wrong place. Nothing is ignored silently.",
        f"routes:\n  - name: doorbell\n    mach: {{bucket: doorbell}}\n{_SEND}",
        f"routes:\n  - name: doorbell\n    match: {{bucket: doorbell}}\n{_SEND}",
    ),
    Code.MISSING_KEY: Example(
        "Something can't be used without this key.",
        "unmatched:\n  - http: /lost\n",
        "unmatched:\n  - http: http://127.0.0.1:1880/lost\n",
    ),
    Code.BAD_VALUE: Example(
        "The value has the right type, but is outside of what can be used.",
        "brokers:\n  home: {url: 192.168.1.5}\n",
        "brokers:\n  home: {url: mqtt://192.168.1.5}\n",
    ),
    Code.CONFLICT: Example(
        "Each key could stand there alone.",
        "unmatched:\n  - mqtt: lost\n    http: http://127.0.0.1/lost\n",
        "unmatched:\n  - mqtt: lost\n  - http: http://127.0.0.1/lost\n",
    ),
    Code.UNKNOWN_NAME: Example(
        "A broker, a service or another thing is named that the file doesn't have.",
        "brokers:\n  home: {url: mqtt://127.0.0.1}\nunmatched:\n  - {mqtt: lost, broker: hoem}\n",
        "brokers:\n  home: {url: mqtt://127.0.0.1}\nunmatched:\n  - {mqtt: lost, broker: home}\n",
    ),
    Code.DUPLICATE_NAME: Example(
        "Names of routes are unique over all files, as logs, status and dead letters go by them.",
        f"routes:\n  - name: doorbell\n{_SEND}  - name: doorbell\n    send:\n      - mqtt: hall/doorbell\n",
        f"routes:\n  - name: doorbell\n{_SEND}  - name: hall\n    send:\n      - mqtt: hall/doorbell\n",
    ),
    Code.SECRET: Example(
        "The environment variable is not set, or the file can't be read. For the service, set variables by "
        "`systemctl edit relay-bridge`: those of your shell are not there.",
        "relay:\n  key: ${RELAY_KEY}\n  secret: ${RELAY_SECERT}\n",
        "relay:\n  key: ${RELAY_KEY}\n  secret: ${RELAY_SECRET}\n",
    ),
    Code.TEMPLATE: Example(
        "A mistake in a template, or a template that could choose what a webhook must not choose.",
        'unmatched:\n  - mqtt: "{{ bucket }}/lost"\n',
        'unmatched:\n  - mqtt: "lost/{{ bucket }}"\n',
    ),
    Code.CONDITION: Example(
        "An operator with a value that it can't work with, such as a regular expression that could take for "
        "ever.",
        f"routes:\n  - name: doorbell\n    match: {{path: {{regex: '^(/\\w+)+$'}}}}\n{_SEND}",
        f"routes:\n  - name: doorbell\n    match: {{path: {{regex: '^[/\\w]+$'}}}}\n{_SEND}",
    ),
    Code.TEST_FAILS: Example(
        "Said by `relay-bridge check --tests`, and of a changed file where `reload.require_tests` is true.",
        f"routes:\n  - name: doorbell\n{_SEND}{_TEST}      - {{route: doorbell, mqtt: home/bell}}\n",
        f"routes:\n  - name: doorbell\n{_SEND}{_TEST}      - {{route: doorbell, mqtt: home/doorbell}}\n",
    ),
    Code.NOTHING_INCLUDED: Example(
        "Perhaps the files are still to come; perhaps they are called something else.",
        "include: [routes.d/*.yml]\n",
        "include: [routes.d/*.yaml]\n",
    ),
    Code.NEVER_TRUE: Example(
        'Types are strict: `"1"` is not `1`, and all of a webhook but its body is text.',
        f"routes:\n  - name: doorbell\n    match: {{query.door: 1}}\n{_SEND}",
        f'routes:\n  - name: doorbell\n    match: {{query.door: "1"}}\n{_SEND}',
    ),
    Code.OLD_PROTOCOL: Example(
        "With MQTT 3.1.1 a message that the broker refuses counts as delivered. Mosquitto knows 5 since 1.6.",
        'brokers:\n  home: {url: mqtt://127.0.0.1, protocol: "3.1.1"}\n',
        "brokers:\n  home: {url: mqtt://127.0.0.1}\n",
    ),
    Code.RETAINED_EVENT: Example(
        "A retained message is given to everyone who subscribes later: the doorbell rings whenever Home "
        "Assistant starts. Retain states, such as `open`, not events.",
        "unmatched:\n  - mqtt: home/doorbell/ring\n    retain: true\n",
        "unmatched:\n  - mqtt: home/doorbell/ring\n    kind: event\n",
    ),
    Code.HEADER_IN_BODY: Example(
        "Providers send the kind of event as a header, beside the body.",
        f"routes:\n  - name: push\n    match: {{body.x-github-event: push}}\n{_SEND}",
        f"routes:\n  - name: push\n    match: {{header.x-github-event: push}}\n{_SEND}",
    ),
    Code.ALWAYS_THE_SAME: Example(
        "Without braces, `when` is a text like any other, and most texts count as true.",
        f"routes:\n  - name: doorbell\n    when: body.amount > 100\n{_SEND}",
        f'routes:\n  - name: doorbell\n    when: "{{{{ body.amount > 100 }}}}"\n{_SEND}',
    ),
    Code.NOT_FILLED_IN: Example(
        "References have braces, and values of `match` are compared as they stand.",
        "relay:\n  key: $RELAY_KEY\n  secret: ${RELAY_SECRET}\n",
        "relay:\n  key: ${RELAY_KEY}\n  secret: ${RELAY_SECRET}\n",
    ),
}
"""By code."""


def completed(text: str) -> str:
    """An example as a whole file; what it leaves out comes behind, so that its lines keep their numbers."""
    if text.startswith("-"):
        return text
    relay = "" if re.search("^relay:", text, re.MULTILINE) else _RELAY
    routes = "" if re.search("^(routes|include):", text, re.MULTILINE) else "routes: []\n"
    return text + relay + routes


def problems(text: str, folder: Path, encoding: str = "utf-8") -> tuple[Problem, ...]:
    """What is wrong with an example as `bridge.yaml` in a folder, beside one file to include."""
    (folder / "routes.d").mkdir(exist_ok=True)
    (folder / "routes.d" / "garage.yaml").write_text("routes: []\n")
    path = folder / "bridge.yaml"
    path.write_text(completed(text), encoding=encoding)
    loaded = load(path, environment=ENVIRONMENT)
    return loaded.problems + (problems_of(run_cases(loaded.config)) if loaded.config else ())


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([INTRODUCTION, *(_entry(code, example) for code, example in EXAMPLES.items())])


def _entry(code: Code, example: Example) -> str:
    return (
        f"## {code.number}: {code.title}\n\n{example.meaning}\n\n"
        f"```{example.language} wrong\n{example.wrong}```\n\n"
        f"{_said(example)}"
        f"```{example.language} right\n{example.right}```\n"
    )


def _said(example: Example) -> str:
    """What the check says about the mistake."""
    if example.language != "yaml":
        return ""
    with TemporaryDirectory() as name:
        found = problems(example.wrong, Path(name), example.encoding)
        said = "\n".join(problem.render() for problem in found)
        return f"```text\n{said}\n```\n\n".replace(f"{name}/", "")


if __name__ == "__main__":
    sys.stdout.write(page())
