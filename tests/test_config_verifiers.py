"""Verifiers of a routing file, from its text to their verdicts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.config.loader import load
from bridge.routing.table import RouteTable
from bridge.verify.schemes import SCHEMES
from bridge.verify.verdict import Clock
from bridge.webhook import Webhook
from tests.support.routing_files import assert_problems, config_of, loaded
from tests.support.signatures import VECTORS, Vector, relaybox_at

RELAY = "relay: {key: a, secret: b}\n"
ROUTE = "routes: [{name: gated, verify: gate, send: [{mqtt: t}]}]\n"
HMAC = {"scheme": "hmac", "header": "X-Signature", "secrets": "x"}


def with_verifier(section: object) -> str:
    """A routing file with one verifier; JSON is YAML."""
    return f"{RELAY}verifiers: {{gate: {json.dumps(section)}}}\n{ROUTE}"


def table(section: object) -> RouteTable:
    return config_of(with_verifier(section)).table


def verdict(section: object, webhook: Webhook, clock: Clock) -> str:
    routed = table(section).route(webhook, clock)
    return routed.rejected[0][1].code if routed.rejected else routed.matched[0]


def tampered(vector: Vector) -> Webhook:
    """With another body, or with another token where the body is not signed."""
    if vector.body_is_signed:
        return replace(vector.webhook(), raw=vector.body.replace(b"e", b"x"))
    headers = {name: (f"{value}x",) for name, value in vector.headers.items()}
    return vector.webhook(headers=headers)


def section_of(vector: Vector) -> dict[str, Any]:
    """Two secrets, the second of which is the right one."""
    other = "b3RoZXI=" if vector.scheme == "standard-webhooks" else "other"
    return {"scheme": vector.scheme, "secrets": [other, vector.secret]}


GENUINE = {name: vector for name, vector in VECTORS.items() if name in SCHEMES}
GENUINE["relaybox"] = relaybox_at("2023-11-14T22:13:20Z")

SECTIONS: dict[str, tuple[dict[str, Any], Vector]] = {
    **{name: (section_of(vector), vector) for name, vector in GENUINE.items()},
    "hmac": (
        {
            "scheme": "hmac",
            "secrets": VECTORS["hmac-like-slack"].secret,
            "header": "X-Slack-Signature",
            "algorithm": "sha256",
            "encoding": "hex",
            "prefix": "v0=",
            "signed": "v0:{timestamp}:{body}",
            "timestamp_header": "X-Slack-Request-Timestamp",
        },
        VECTORS["hmac-like-slack"],
    ),
    "hmac-base64": (
        {
            "scheme": "hmac",
            "secrets": "s3cr3t",
            "header": "X-Shopify-Hmac-Sha256",
            "encoding": "base64",
            "id_header": "X-Id",
        },
        VECTORS["shopify"],
    ),
    "bearer": ({"scheme": "bearer", "secrets": ["old", "s3cr3t"]}, VECTORS["bearer"]),
    "token": ({"scheme": "bearer", "secrets": "s3cr3t", "header": "X-Token"}, VECTORS["token"]),
}
each = pytest.mark.parametrize(("section", "vector"), SECTIONS.values(), ids=SECTIONS)


def test_every_scheme_is_here() -> None:
    assert {section["scheme"] for section, _ in SECTIONS.values()} == {*SCHEMES, "hmac", "bearer"}


@each
def test_what_is_genuine_is_sent(section: dict[str, Any], vector: Vector) -> None:
    assert verdict(section, vector.webhook(), vector.clock()) == "gated"


@each
def test_what_is_tampered_with_is_not(section: dict[str, Any], vector: Vector) -> None:
    routed = table(section).route(tampered(vector), vector.clock())
    assert (routed.plans, routed.matched) == ((), ())
    assert [(name, rejected.code) for name, rejected in routed.rejected] == [("gated", "bad-signature")]


@each
def test_the_scheme_says_how_old_a_webhook_may_be(section: dict[str, Any], vector: Vector) -> None:
    usual = {"relaybox": 60, "stripe": 300, "slack": 300, "standard-webhooks": 300, "hmac": 300}
    window = usual.get(section["scheme"]) if vector.rules.window else None
    later = 100_000 if window is None else window + 1
    expected = "gated" if window is None else "too-old"
    assert verdict(section, vector.webhook(), vector.clock(later - 2)) == "gated"
    assert verdict(section, vector.webhook(), vector.clock(later)) == expected


def test_a_window_of_ones_own() -> None:
    vector = VECTORS["slack"]
    section = {"scheme": "slack", "secrets": vector.secret, "window": "1h"}
    assert verdict(section, vector.webhook(), vector.clock(3599)) == "gated"
    assert verdict(section, vector.webhook(), vector.clock(3601)) == "too-old"


@pytest.mark.parametrize(
    ("section", "refuses"),
    [
        ({"scheme": "github"}, False),
        ({"scheme": "github", "replay": "reject"}, True),
        ({"scheme": "slack"}, True),
        ({"scheme": "slack", "replay": "accept"}, False),
        ({"scheme": "relaybox"}, True),
        ({"scheme": "bearer"}, False),
        (HMAC | {"id_header": "x-id", "signed": "{id}.{body}"}, True),
        (HMAC | {"id_header": "x-id"}, False),
    ],
)
def test_replays_are_refused_where_ids_are_proved_or_where_one_says_so(
    section: dict[str, Any], refuses: bool
) -> None:
    config = config_of(with_verifier({"secrets": "x"} | section))
    assert config.verifiers["gate"].refuse_replays is refuses


def test_secrets_that_change_are_a_change() -> None:
    text = with_verifier({"scheme": "github", "secrets": ["${GH}"]})
    one, same, other = (config_of(text, {"GH": secret}).verifiers for secret in ("a", "a", "b"))
    assert one == same != other


def test_included_routes_use_the_files_verifiers(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(f"{RELAY}verifiers: {{gate: {{scheme: github, secrets: x}}}}\ninclude: [more.yaml]\n")
    (tmp_path / "more.yaml").write_text(ROUTE)
    config = load(path).config
    assert config is not None
    [route] = config.table.routes
    assert route.verifier is not None
    assert route.verifier.name == "gate"


@pytest.mark.parametrize(
    ("section", "found"),
    [
        ({"scheme": "githup", "secrets": "x"}, ['E0104 "githup"']),
        ({"scheme": "github"}, ["E0103 {"]),
        ({"secrets": "x"}, ["E0103 {"]),
        ({"scheme": "github", "secrets": []}, ["E0104 []"]),
        ({"scheme": "github", "secrets": ""}, ['E0104 ""']),
        ({"scheme": "github", "secrets": ["x", 5]}, ["E0101 5"]),
        ({"scheme": "github", "secret": "x"}, ["E0103 {", 'E0102 "secret"']),
        ({"scheme": "standard-webhooks", "secrets": ["whsec_!"]}, ['E0105 ["whsec_!"]']),
        ({"scheme": "github", "secrets": "x", "window": "5m"}, ['E0105 "5m"']),
        ({"scheme": "slack", "secrets": "x", "window": 300}, ["E0101 300"]),
        ({"scheme": "bearer", "secrets": "x", "replay": "reject"}, ['E0105 "reject"']),
        ({"scheme": "github", "secrets": "x", "replay": "refuse"}, ['E0104 "refuse"']),
        ({"scheme": "github", "secrets": "x", "header": "x-sig"}, ['E0105 "x-sig"']),
        ({"scheme": "bearer", "secrets": "x", "signed": "{body}"}, ['E0105 "{body}"']),
        ({"scheme": "hmac", "secrets": "x"}, ["E0103 {"]),
        (HMAC | {"header": "x sig"}, ['E0104 "x sig"']),
        (HMAC | {"algorithm": "md5"}, ['E0104 "md5"']),
        (HMAC | {"encoding": "base32"}, ['E0104 "base32"']),
        (HMAC | {"signed": "{timestamp}.{body}"}, ['E0105 "{timestamp}.{body}"']),
        (HMAC | {"signed": "{nonsense}"}, ['E0105 "{nonsense}"']),
        ("github", ['E0101 "github"']),
    ],
)
def test_mistakes(section: object, found: list[str]) -> None:
    assert_problems(with_verifier(section), found)


def test_a_verifier_with_a_mistake_is_not_unknown() -> None:
    assert_problems(with_verifier({"scheme": "githup", "secrets": "x"}), ['E0104 "githup"'])


@pytest.mark.parametrize(
    ("name", "verifiers", "hint"),
    [
        ("gh", "", "add it to `verifiers`"),
        ("gaet", "verifiers: {gate: {scheme: github, secrets: x}}\n", "did you mean 'gate'?"),
        ("zzz", "verifiers: {gate: {scheme: github, secrets: x}}\n", "known: gate"),
    ],
)
def test_a_verifier_that_is_not_there(name: str, verifiers: str, hint: str) -> None:
    text = f"{RELAY}{verifiers}routes: [{{name: a, verify: {name}, send: [{{mqtt: t}}]}}]\n"
    assert_problems(text, [f"E0201 {name}"])
    assert loaded(text).problems[0].help == hint


def test_a_secret_of_a_verifier_is_shown_nowhere() -> None:
    text = with_verifier({"scheme": "github", "secrets": ["hunter2", "${GH}"], "window": "5m"})
    assert "hunter2" not in loaded(text, {"GH": "swordfish"}).report()
    config = config_of(text.replace(', "window": "5m"', ""), {"GH": "swordfish"})
    assert not any(secret in repr(config) for secret in ("hunter2", "swordfish"))


def test_a_dedupe_key_that_is_always_the_same_is_a_mistake() -> None:
    text = f"{RELAY}routes: [{{name: a, dedupe: header.x-id, send: [{{mqtt: t}}]}}]\n"
    assert_problems(text, ["E0104 header.x-id"])
    assert "{{" in str(loaded(text).problems[0].help)
