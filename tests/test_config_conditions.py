import pytest

from bridge.webhook import Webhook
from tests.support.routing_files import assert_problems, config_of, loaded, with_routes


def webhook(**changes: object) -> Webhook:
    values: dict[str, object] = {
        "id": "1",
        "bucket": "doorbell",
        "bucket_id": "id-1",
        "input": "",
        "input_id": "",
        "output": "",
        "destination": "/ring",
        "method": "POST",
        "query_string": "a=1",
        "headers": {"x-event": ("push",), "x-token": ("hunter2",)},
        "raw": b'{"event": "ring", "n": 5, "on": "on"}',
        "received_at": 0.0,
    }
    return Webhook(**(values | changes))  # type: ignore[arg-type]  # the values above have the right types


def matches(match: str) -> bool:
    config = config_of(
        with_routes(f"  - name: a\n    match: {match}\n    send: [{{mqtt: t}}]\n"), {"TOKEN": "hunter2"}
    )
    return bool(config.table.route(webhook()).matched)


@pytest.mark.parametrize(
    ("match", "result"),
    [
        ("{}", True),
        ("{bucket: doorbell}", True),
        ("{bucket: id-1}", True),
        ("{bucket: other}", False),
        ("{bucket: [other, doorbell]}", True),
        ("{bucket: doorbell, method: GET}", False),
        ("{body.on: on}", True),
        ("{body.n: 5}", True),
        ('{body.n: "5"}', False),
        ("{body.n: {gte: 5, lt: 6}}", True),
        ("{body.n: {gte: 5, lt: 5}}", False),
        ("{body.event: {in: [ring, knock]}}", True),
        ("{not: {body.event: ring}}", False),
        ("{any: [{body.n: 1}, {query.a: '1'}]}", True),
        ("{any: [{body.n: 1}, {query.a: '2'}]}", False),
        ("{all: [{body.n: 5}, {any: [{path: /ring}, {path: /x}]}, {not: {method: [GET, PUT]}}]}", True),
        ("{header.X-Event: push}", True),
        ("{header.x-token: '${TOKEN}'}", True),
        ("{form.x: {exists: false}}", True),
    ],
)
def test_conditions_mean_what_they_say(match: str, result: bool) -> None:
    assert matches(match) is result


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("{buckt: x}", ["E0102 buckt:"]),
        ("{headers.x: y}", ["E0102 headers.x:"]),
        ("{header: y}", ["E0102 header:"]),
        ("{body.a..b: y}", ["E0102 body.a..b:"]),
        ("{path: {start: /}}", ["E0102 start:"]),
        ("{path: {}}", ["E0104 {"]),
        ("{path: []}", ["E0302 ["]),
        ("{path: {regex: '('}}", ["E0302 '('"]),
        ("{path: {glob: x, regex: '(a+)+'}}", ["E0302 '(a+)+'"]),
        ("{path: {exists: maybe}}", ["E0302 maybe"]),
        ("{body.n: {gt: [1]}}", ["E0302 [1"]),
        ("{any: {path: x}}", ["E0101 {path:"]),
        ("{any: []}", ["E0104 ["]),
        ("{all: [path]}", ["E0101 path"]),
        ("{not: [a]}", ["E0101 [a"]),
        ("[path]", ["E0101 [path"]),
        ("{header.x: '${NONE}'}", ["E0203 ${NONE"]),
        ("{path: {startswith: !t x}}", ["E0008 !t"]),
        (
            "{buckt: x, any: [{pth: x}, {path: {regx: y}}], not: {method: {eq: [1]}}}",
            ["E0102 buckt:", "E0102 pth:", "E0102 regx:", "E0302 [1"],
        ),
    ],
)
def test_mistakes(match: str, found: list[str]) -> None:
    assert_problems(with_routes(f"  - name: a\n    match: {match}\n    send: [{{mqtt: t}}]\n"), found)


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("{header.x: 5}", ["W0502 5"]),
        ("{bucket: [a, 7, true]}", ["W0502 7", "W0502 true"]),
        ("{query.a: {gt: 5}}", ["W0502 5"]),
        ("{not: {path: 1}}", ["W0502 1"]),
        ("{body.n: 5}", []),
        ("{header.x: {exists: true}}", []),
    ],
)
def test_a_number_against_a_text_is_a_warning(match: str, found: list[str]) -> None:
    text = with_routes(f"  - name: a\n    match: {match}\n    send: [{{mqtt: t}}]\n")
    assert_problems(text, found)
    assert loaded(text).config is not None


def test_a_warning_says_how_to_mend_it() -> None:
    [problem] = loaded(with_routes("  - name: a\n    match: {header.x: 5}\n    send: [{mqtt: t}]\n")).problems
    assert problem.message == "'header.x' is always text, which never equals 5"
    assert problem.help == 'write "5" in quotes'


@pytest.mark.parametrize(
    ("match", "buckets"),
    [
        ("{bucket: a}", ("a",)),
        ("{bucket: [b, a]}", ("a", "b")),
        ("{bucket: {in: [a]}}", ("a",)),
        ("{bucket: {startswith: a}}", None),
        ("{not: {bucket: a}}", None),
        ("{any: [{bucket: a}, {bucket: b, path: /x}]}", ("a", "b")),
        ("{any: [{bucket: a}, {path: /x}]}", None),
        ("{all: [{bucket: a}, {path: /x}]}", ("a",)),
        ("{path: /x}", None),
    ],
)
def test_the_relay_is_asked_for_the_buckets_that_can_match(
    match: str, buckets: tuple[str, ...] | None
) -> None:
    config = config_of(with_routes(f"  - name: a\n    match: {match}\n    send: [{{mqtt: t}}]\n"))
    assert config.relay.buckets == buckets


def test_no_message_repeats_a_secret_operand() -> None:
    text = with_routes("  - name: a\n    match: {path: {regex: '${BAD}'}}\n    send: [{mqtt: t}]\n")
    result = loaded(text, {"BAD": "(hunter2"})
    assert [p.code.number for p in result.problems] == ["E0302"]
    assert "hunter2" not in result.report()
