"""Running the routing file's own tests. Pure: nothing is sent, and no clock is asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bridge.config.model import Case, Config, Expectation
from bridge.config.problems import Code, Problem, Problems, quoted
from bridge.preview import LONGEST_SHOWN, Sending, Step, beginning, dry_run, trusting
from bridge.routing.match import CONCEALED
from bridge.routing.table import UNMATCHED


@dataclass(frozen=True, slots=True)
class Trial:
    """A test that was run."""

    case: Case
    complaints: tuple[str, ...]
    """What was expected and what came instead; empty where it passed."""


def run_cases(config: Config) -> list[Trial]:
    """Run all tests of a routing file, in its order."""
    trusted = trusting(config)
    return [
        Trial(case, tuple(_complaints(case, trusted if case.verified else config))) for case in config.cases
    ]


def problems_of(trials: list[Trial]) -> tuple[Problem, ...]:
    """The tests that failed, as problems of the file."""
    problems = Problems()
    for trial in trials:
        if trial.complaints:
            message = f"the test {quoted(trial.case.name)} fails: {'; '.join(trial.complaints)}"
            problems.add(Code.TEST_FAILS, trial.case.place, message)
    return tuple(problems)


def _complaints(case: Case, config: Config) -> Iterator[str]:
    steps = dry_run(config, case.webhook)
    yield from _of_sendings(case, steps)
    for expectation in case.expect:
        if "reply" in expectation.facts:
            yield from _of_the_reply(expectation, steps, case)


def _of_sendings(case: Case, steps: list[Step]) -> Iterator[str]:
    # A dead letter that `unmatched: dead` makes of a webhook is nothing that a route sends.
    left = [sending for step in steps for sending in step.sendings if sending.plan.target != UNMATCHED]
    for expectation in case.expect:
        if "reply" in expectation.facts:
            continue
        found = next((sending for sending in left if _is_meant(expectation, sending)), None)
        if found is None:
            yield f"expected {_place(expectation, case)}; instead: {_instead(expectation.route, steps, case)}"
        else:
            left.remove(found)
            start = f"{found.plan.route} sends {_address(found, case)}"
            facts = {**found.facts, "payload": found.payload}
            yield from _differences(start, expectation.facts, facts, case, secret=found.secret)
    for sending in left:
        yield f"not expected: {sending.plan.route} sends {_address(sending, case)}"


def _of_the_reply(expectation: Expectation, steps: list[Step], case: Case) -> Iterator[str]:
    """At most one route replies: the first that matched and has a reply."""
    found = next(((step.trace.route, step.response) for step in steps if step.response is not None), None)
    if found is None or expectation.route not in {"", found[0]}:
        instead = f"{found[0]} does" if found else _unanswered(expectation.route, steps, case)
        yield f"expected {expectation.route or 'a route'} to reply; instead: {instead}"
        return
    route, response = found
    if response.error is not None:
        yield f"{route} can't reply: {CONCEALED if case.secret else response.error}"
        return
    facts = {**response.facts, "body": response.body}
    wanted = expectation.facts["reply"]
    yield from _differences(f"{route} replies", wanted, facts, case, secret=response.secret)


def _unanswered(route: str, steps: list[Step], case: Case) -> str:
    matched = any(step.trace.route == route and step.sendings for step in steps)
    return "nobody does" if matched or not route else _instead(route, steps, case)


def _is_meant(expectation: Expectation, sending: Sending) -> bool:
    """Whether it is what a test speaks of: from that route to that topic or URL."""
    same_place = all(sending.facts.get(kind) == expectation.facts.get(kind) for kind in ("mqtt", "http"))
    return sending.plan.route == expectation.route and same_place


def _place(expectation: Expectation, case: Case) -> str:
    kind = "mqtt" if "mqtt" in expectation.facts else "http"
    return f"{expectation.route} to send {kind} {CONCEALED if case.secret else expectation.facts[kind]}"


def _address(sending: Sending, case: Case) -> str:
    return f"{sending.plan.target} {CONCEALED}" if case.secret else sending.address


def _instead(route: str, steps: list[Step], case: Case) -> str:
    """What came of a route that did not send what was expected."""
    step = next((step for step in steps if step.trace.route == route), None)
    if step is None:
        return "a route matched"
    if step.sendings:
        return "it sends " + " and ".join(_address(sending, case) for sending in step.sendings)
    why = f": {step.why}" if step.why and not case.secret else ""
    return f"{step.trace.verdict.value}{why}"


def _differences(
    start: str, wanted: Mapping[str, Any], facts: Mapping[str, Any], case: Case, *, secret: bool
) -> Iterator[str]:
    """What is not as a test wants it; `secret`: the payload holds what a reference stands for."""
    for name, expected, found in _compared(wanted, facts):
        is_payload = isinstance(found, bytes)
        if _is_payload(expected, found) if is_payload else expected == found:
            continue
        if case.secret or (is_payload and secret):
            yield f"{start}: another {name} than expected, which is not shown as it holds a secret"
        else:
            came = beginning(found) if is_payload else _written(found)
            yield f"{start}: expected {name} {_written(expected)}, found {came}"


def _compared(wanted: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Name, expected value and found value of everything that a test speaks of."""
    for name, expected in wanted.items():
        if name == "headers":
            for header, value in expected.items():
                yield f"header {header}", value, facts["headers"].get(header.lower())
        else:
            yield name, expected, facts.get(name)


def _is_payload(expected: Any, payload: bytes) -> bool:
    if isinstance(expected, str):
        return payload == expected.encode()
    try:
        return _same(expected, orjson.loads(payload))
    except orjson.JSONDecodeError:
        return False


def _same(expected: Any, found: Any) -> bool:
    """Equal as JSON: 1 is 1.0, but never true."""
    if isinstance(expected, Mapping):
        is_mapping = isinstance(found, Mapping) and expected.keys() == found.keys()
        return is_mapping and all(_same(value, found[key]) for key, value in expected.items())
    if isinstance(expected, list):
        is_list = isinstance(found, list) and len(found) == len(expected)
        return is_list and all(map(_same, expected, found))
    return isinstance(expected, bool) == isinstance(found, bool) and bool(expected == found)


def _written(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits
        text = str(value)
    return f"{text[:LONGEST_SHOWN]}…" if len(text) > LONGEST_SHOWN else text
