import copy
import hashlib
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.config import loader
from bridge.config.loader import LARGEST_FILE, Loaded, load, load_text
from bridge.config.problems import MOST_PROBLEMS
from bridge.relay.protocol import DEFAULT_RELAY_URL
from bridge.routing.items import HttpItem, MqttItem
from bridge.webhook import Webhook
from tests.support.routing_files import ENVIRONMENT, EXAMPLE, config_of, loaded, with_routes

MUTATIONS = int(os.environ.get("RELAY_BRIDGE_MUTATIONS", "2000"))
RELAY = "relay: {key: a, secret: b}\n"
ONE = "routes: [{name: one, match: {bucket: one}, send: [{mqtt: one}]}]\n"


def codes(result: Loaded) -> list[str]:
    return [f"{Path(p.file).name}:{p.line}:{p.column} {p.code.number}" for p in result.problems]


# A whole file


def test_the_example_says_what_it_should() -> None:
    config = config_of(EXAMPLE)
    assert config.node == "pi"
    assert config.relay.url == DEFAULT_RELAY_URL
    assert config.relay.secret.reveal() == "secret-of-the-relay"
    assert config.relay.buckets == ("doorbell", "github", "slack")
    assert set(config.brokers) == {"mqtt:home"}
    assert set(config.services) == {
        "http:nodered",
        "http:nodered (github-push)",
        "http:http://127.0.0.1:1880",
    }
    assert [route.name for route in config.table.routes] == ["doorbell", "github-push", "slash-command"]
    publish, call = config.table.routes[1].items
    assert isinstance(publish, MqttItem)
    assert isinstance(call, HttpItem)
    assert (publish.target, publish.qos, publish.expire_after, publish.expires) == (
        "mqtt:home",
        1,
        3600.0,
        True,
    )
    assert call.target == "http:nodered (github-push)"


def test_the_example_routes_a_webhook() -> None:
    ring = Webhook(
        id="1",
        bucket="doorbell",
        bucket_id="",
        input="",
        input_id="",
        output="",
        destination="",
        method="POST",
        query_string="",
        headers={},
        raw=b'{"event": "ring", "door": "front/#"}',
        received_at=0.0,
    )
    routed = config_of(EXAMPLE).table.route(ring)
    assert routed.matched == ("doorbell",)
    sent = [
        getattr(plan.message, "topic", None) or getattr(plan.message, "url", None) for plan in routed.plans
    ]
    assert sent == ["home/doorbell/front__/ring", "http://127.0.0.1:1880/doorbell"]


def test_nothing_but_routes_and_credentials_must_be_written() -> None:
    config = config_of(RELAY + ONE)
    assert config.relay.buckets == ("one",)
    assert config.node


def test_ten_mistakes_are_ten_problems() -> None:
    text = """\
relay: {key: a, secret: "${MISSING}"}
brokers:
  home: {url: "mqtt://me:pw@127.0.0.1", keepalive: soon}
defaults: {qos: 3, retained: true}
routes:
  - name: door bell
    match: {bucket: doorbell, methd: POST, body.n: {gte: [1]}}
    send:
      - mqtt: home/{{ body.door | lowr }}
      - http: /ring
"""
    result = loaded(text)
    assert [f"{p.line}:{p.column} {p.code.number} {p.message}" for p in result.problems] == [
        "1:26 E0203 the environment variable MISSING is not set",
        "3:15 E0104 this URL can't be used: it can't hold credentials, as URLs are shown in logs",
        "3:52 E0101 expected a whole number from 5 to 65535, found the text 'soon'",
        "4:17 E0104 expected a whole number from 0 to 2, found 3",
        "4:20 E0102 unknown key 'retained' in defaults",
        "6:11 E0104 expected a name of letters, digits, _ and - (at most 64)",
        "7:31 E0102 unknown source 'methd'; did you mean 'method'?",
        "7:58 E0302 a number or a text is expected",
        "9:35 E0301 unknown filter 'lowr'; did you mean 'lower'?",
        "10:15 E0103 a path needs a service",
    ]
    assert result.summary == "10 errors"
    assert result.config is None


def test_a_report_has_every_problem_and_the_total() -> None:
    result = loaded(with_routes("  - {name: a, send: [{mqtt: a/ring, retain: true, qos: 9}], foo: 1}\n"))
    assert result.summary == "2 errors, 1 warning"
    assert result.report().endswith("\n2 errors, 1 warning")
    assert result.report().count("bridge.yaml:3:") == 3
    assert loaded(RELAY + ONE).report() == "no problems"


def test_all_errors_up_to_a_limit() -> None:
    result = loaded("".join(f"k{n}: 1\n" for n in range(MOST_PROBLEMS + 50)))
    assert result.config is None
    assert len(result.problems) == MOST_PROBLEMS


def test_the_same_text_gives_equal_settings_and_fingerprint() -> None:
    one, two = config_of(EXAMPLE), config_of(EXAMPLE)
    assert (one.relay, one.brokers, one.services, one.fingerprint) == (
        two.relay,
        two.brokers,
        two.services,
        two.fingerprint,
    )


def test_a_configuration_does_not_print_its_secrets() -> None:
    config = config_of(EXAMPLE + "# literal: hunter2\n")
    assert not any(secret in repr(config) for secret in ["hunter2", *list(ENVIRONMENT.values())[1:]])


# Files


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "bridge.yaml"


def test_a_file_with_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    path = written(
        tmp_path, bridge=RELAY + ONE + "include: [d/*.yaml, '*.yaml', more.yaml]\n", more="routes: []\n"
    )
    written(tmp_path / "d", b=ONE.replace("one", "b"), a=ONE.replace("one", "a"))
    result = load(path)
    assert result.config is not None, result.report()
    assert [route.name for route in result.config.table.routes] == ["one", "a", "b"]
    names = [file.relative_to(tmp_path).as_posix() for file in result.config.files]
    assert names == ["bridge.yaml", "d/a.yaml", "d/b.yaml", "more.yaml"]
    assert result.files == result.config.files
    assert result.config.relay.buckets == ("a", "b", "one")


def test_an_absolute_pattern(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    path = written(tmp_path, bridge=RELAY + f"include: ['{tmp_path}/d/*']\n")
    written(tmp_path / "d", a=ONE)
    config = load(path).config
    assert config is not None
    assert [route.name for route in config.table.routes] == ["one"]


def test_a_pattern_without_end(tmp_path: Path) -> None:
    assert codes(load(written(tmp_path, bridge=RELAY + f"include: ['{'*/' * 5000}']\n"))) == [
        "bridge.yaml:2:11 E0104"
    ]
    assert codes(load(written(tmp_path, bridge=RELAY + f"include: ['{'*/' * 85}']\n"))) == [
        "bridge.yaml:2:11 W0501"
    ]


def test_a_pattern_that_matches_nothing_is_a_warning(tmp_path: Path) -> None:
    result = load(written(tmp_path, bridge=RELAY + ONE + "include: [d/*.yaml]\n"))
    assert codes(result) == ["bridge.yaml:3:11 W0501"]
    assert result.config is not None


def test_mistakes_in_an_included_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        bridge=RELAY + ONE + "include: [more.yaml]\nfoo: 1\n",
        more="relay: {key: a}\nroutes:\n  - {name: one, send: [{mqtt: t/+}]}\ntests: []\n",
    )
    result = load(path)
    assert codes(result) == [
        "bridge.yaml:4:1 E0102",
        "more.yaml:1:1 E0102",
        "more.yaml:3:12 E0202",
        "more.yaml:3:33 E0301",
    ]
    assert result.config is None
    assert [file.name for file in result.files] == ["bridge.yaml", "more.yaml"]


def test_the_fingerprint(tmp_path: Path) -> None:
    path = written(tmp_path, bridge=RELAY + ONE)
    config = load(path).config
    assert config is not None
    assert config.fingerprint == hashlib.sha256((RELAY + ONE).encode()).hexdigest()
    path = written(tmp_path, bridge=RELAY + ONE + "include: [more.yaml]\n", more="routes: []\n")
    before = load(path)
    written(tmp_path, more="routes: [ ]\n")
    after = load(path)
    assert before.config is not None
    assert after.config is not None
    assert before.fingerprint != after.fingerprint == after.config.fingerprint


def test_what_was_read_can_be_used_again(tmp_path: Path) -> None:
    path = written(tmp_path, bridge=RELAY + ONE + "include: [more.yaml]\n", more=ONE.replace("one", "two"))
    config = load(path).config
    assert config is not None
    path.unlink()
    written(tmp_path, more="broken")
    again = load(path, config.texts).config
    assert again is not None
    assert [route.name for route in again.table.routes] == ["one", "two"]
    assert (again.fingerprint, again.files) == (config.fingerprint, config.files)


def test_secrets_and_paths_start_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    (tmp_path / "ca.pem").touch()
    path = written(
        tmp_path,
        bridge="relay: {key: '${KEY}', secret: '${file:token}'}\n"
        "brokers: {home: {url: 'mqtts://h', ca: ca.pem, password: '${credential:token}'}}\n" + ONE,
    )
    config = load(path, environment={"KEY": "k", "CREDENTIALS_DIRECTORY": str(tmp_path)}).config
    assert config is not None
    assert (config.relay.key, config.relay.secret.reveal()) == ("k", "hunter2")
    home = config.brokers["mqtt:home"]
    assert home.ca == tmp_path / "ca.pem"
    assert home.password is not None
    assert home.password.reveal() == "hunter2"


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (str, "1:1 E0001"),
        (lambda path: path.mkdir(), "1:1 E0001"),
        (os.mkfifo, "1:1 E0001"),
        (lambda path: path.symlink_to(path), "1:1 E0001"),
        (lambda path: path.write_bytes(b""), "1:1 E0006"),
        (lambda path: path.write_bytes(b"\0" * 100), "1:1 E0005"),
        (lambda path: path.write_bytes(b"relay:\n  key: \xff\n"), "2:8 E0004"),
        (lambda path: path.write_bytes((RELAY + ONE).encode("utf-16")), "1:1 E0004"),
        (lambda path: path.write_bytes(b"#" * (LARGEST_FILE + 1)), "1:1 E0003"),
        (lambda path: path.write_bytes(b"a: " + b"[" * 100_000), "1:35 E0003"),
    ],
)
def test_files_that_can_not_be_used(tmp_path: Path, prepare: Callable[[Path], object], problem: str) -> None:
    path = tmp_path / "bridge.yaml"
    prepare(path)
    result = load(path)
    assert codes(result) == [f"bridge.yaml:{problem}"]
    assert result.config is None
    assert result.files == (path,)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (RELAY + ONE + "foo: 1\n").replace("\n", "\r\n").encode())
    assert codes(load(path)) == ["bridge.yaml:3:1 E0102"]


def test_too_many_files_are_included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MOST_FILES", 2)
    path = written(tmp_path, bridge=RELAY + "include: ['*']\n", a="", b="", c="")
    assert codes(load(path)) == ["bridge.yaml:2:10 E0003"]


def test_a_name_for_the_node_is_made_of_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "pi 4/#.local")
    assert config_of(RELAY + ONE).node == "pi-4--"


def test_text_that_utf_8_can_not_hold() -> None:
    assert codes(load_text("a: \udc80")) == ["bridge.yaml:1:4 E0004"]


def test_a_thousand_routes_load_quickly() -> None:
    route = (
        "  - name: r{n}\n    match: {{bucket: b, method: POST, body.event: ring}}\n    send:\n"
        "      - mqtt: home/d{n}/{{{{ body.door }}}}/ring\n"
        '        payload: {{a: "{{{{ body.a }}}}", b: 1}}\n'
    )
    start = time.monotonic()
    config = config_of(with_routes("".join(route.format(n=n) for n in range(1000))))
    assert len(config.table.routes) == 1000
    assert time.monotonic() - start < 10  # about half a second on a desktop


# Mutations: whatever the file holds, there is an answer, soon, and it tells no secret.

NASTY = [
    "\t",
    "\0",
    "{{",
    "}}",
    "{%",
    "${",
    "&a ",
    "*a",
    "!t ",
    "\n",
    " ",
    ":",
    "- ",
    "'",
    '"',
    "[",
    "}",
    "#",
    "\x1b",
    "\xff",
    "é",
    "🔔",
]
VALUES: list[Any] = [
    None,
    True,
    5,
    -1,
    1e300,
    "",
    "x",
    "15s",
    "{{ body.x }}",
    "{{",
    "${NONE}",
    "${RELAY_KEY}",
    [],
    {},
    ["x"],
    {"a": 1},
]


def judge(text: str | bytes) -> bool:
    """Load a text and check what always holds; whether it can be used."""
    start = time.monotonic()
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    result = load(Path("/none/bridge.yaml"), {Path("/none/bridge.yaml"): content}, environment=ENVIRONMENT)
    elapsed = time.monotonic() - start
    report = result.report()
    assert elapsed < 1, f"{elapsed} s for {text!r}"
    assert (result.config is None) == any(p.severity == "error" for p in result.problems)
    assert all(p.line >= 1 and p.column >= 1 and p.caret >= 0 for p in result.problems)
    assert all(line.isprintable() for line in report.split("\n"))
    assert not any(secret in report for secret in ENVIRONMENT.values())
    return result.config is not None


def mutated_bytes(chance: random.Random) -> bytes:
    text = EXAMPLE.encode()
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 1, 1, 2, 5, 40, 400]))
        insert = chance.choice(
            [
                b"",
                chance.choice(NASTY).encode(),
                bytes([chance.randrange(256)]),
                text[start:end] * chance.choice([2, 50]),
                bytes(chance.randrange(256) for _ in range(5)),
            ]
        )
        text = text[:start] + insert + text[end:]
    return text


TREE = yaml.safe_load(EXAMPLE)


def mutated_tree(chance: random.Random) -> str:
    root = copy.deepcopy(TREE)
    for _ in range(chance.randint(1, 4)):
        node = root
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(node[key], dict | list) and chance.random() < 0.8:
                node = node[key]
                continue
            _mutate(node, key, chance)
            break
    return yaml.dump(
        root,
        Dumper=yaml.CSafeDumper,
        sort_keys=chance.random() < 0.5,
        default_flow_style=chance.choice([None, True, False]),
    )


def _mutate(node: Any, key: Any, chance: random.Random) -> None:
    match chance.randrange(4):
        case 0:
            del node[key]
        case 1:
            node[key] = chance.choice(VALUES)
        case 2 if isinstance(node, dict):
            node[f"{key}{chance.choice(NASTY)}"] = node.pop(key)
        case 2:
            node.append(node[key])
        case _:
            node[key] = chance.choice([[node[key]], {"x": node[key]}, f"{node[key]}{chance.choice(NASTY)}"])


@pytest.mark.timeout(900)
def test_mutated_bytes_never_end_in_a_traceback() -> None:
    chance = random.Random(1)
    usable = [judge(mutated_bytes(chance)) for _ in range(MUTATIONS // 2)]
    assert 0.02 * len(usable) < sum(usable) < 0.9 * len(usable)


@pytest.mark.timeout(900)
def test_mutated_trees_never_end_in_a_traceback() -> None:
    chance = random.Random(2)
    usable = [judge(mutated_tree(chance)) for _ in range(MUTATIONS // 2)]
    assert 0.02 * len(usable) < sum(usable) < 0.9 * len(usable)
