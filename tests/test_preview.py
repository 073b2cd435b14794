"""The dry run: what it tells is what the routing does."""

import hmac
import json
import os
import random
from dataclasses import fields as fields_of
from typing import Any, Final

from bridge.errors import RenderError
from bridge.preview import dry_run
from bridge.routing.reply import Replying
from bridge.routing.table import Plan
from bridge.routing.trace import Verdict
from bridge.webhook import Webhook
from tests.support.deliveries import webhook
from tests.support.routing_files import config_of

PAIRS: Final = int(os.environ.get("RELAY_BRIDGE_PAIRS", "1000"))
"""Routing files and webhooks, made by chance, on which the dry run and the daemon must agree."""

BUCKETS = ("a", "b", "c")
WORDS = ("x", "y", "", "é/+#", "\x1b[2J")
SIGNED_WITH = "hunter2"


def some_condition(chance: random.Random) -> tuple[str, Any]:
    source = chance.choice(["bucket", "method", "path", "header.x", "query.q", "body.k", "body.n", "form.k"])
    words = chance.sample([*WORDS, *BUCKETS, "POST", "/", "1"], 2)
    operand: Any = chance.choice(
        [words[0], words, {"ne": words[0]}, {"exists": chance.random() < 0.5}, {"regex": "^[a-y]?$"}]
    )
    if source == "body.n":
        operand = chance.choice([1, {"gt": 1}, True, None])
    return source, operand


def some_match(chance: random.Random, depth: int = 2) -> dict[str, Any]:
    match = dict(some_condition(chance) for _ in range(chance.randrange(3)))
    if chance.random() < 0.5:
        match["bucket"] = chance.choice(BUCKETS)
    if depth and chance.random() < 0.4:
        kind = chance.choice(["any", "all", "not"])
        inner = some_match(chance, depth - 1)
        match[kind] = inner if kind == "not" else [inner, some_match(chance, depth - 1)]
    return match


def some_item(chance: random.Random) -> dict[str, Any]:
    if chance.random() < 0.5:
        item: dict[str, Any] = {
            "mqtt": chance.choice(["t", "t/{{ body.k }}", "t/{{ header['x'] }}/{{ id }}"])
        }
    else:
        item = {"http": chance.choice(["http://h/p", "http://h/{{ body.k }}?q={{ query.q }}"])}
    carried: list[dict[str, Any]] = [
        {},
        {"payload": "{{ form.k }}"},
        {"payload": {"n": "{{ body.n }}"}},
        {"format": "envelope"},
        {"format": "webhookrelay"},
    ]
    return item | chance.choice(carried)


def some_reply(chance: random.Random, send: list[dict[str, Any]]) -> dict[str, Any]:
    body = chance.choice(["fine", "{{ form.k }}", {"is": "{{ body.n }}"}])
    reply = {"body": body, "headers": {"x-hook-k": "{{ header['x'] }}"}}
    asked = chance.choice([None, "mqtt" if "mqtt" in send[0] else "http"])
    return reply | ({"from": asked} if asked else {"status": 201})


def some_route(chance: random.Random, number: int) -> dict[str, Any]:
    route: dict[str, Any] = {
        "name": f"r{number}",
        "match": some_match(chance),
        "send": [some_item(chance) for _ in range(chance.randint(1, 2))],
        "final": chance.random() < 0.2,
        "enabled": chance.random() < 0.9,
    }
    if chance.random() < 0.3:
        route["when"] = chance.choice(["{{ body.n > 1 }}", "{{ body.k }}", "{{ form.k is defined }}"])
    if chance.random() < 0.3:
        route["order"] = chance.choice(["none", "{{ body.k }}", "{{ bucket }}"])
    if chance.random() < 0.3:
        route["verify"] = "gate"
    if chance.random() < 0.3:
        route["reply"] = some_reply(chance, route["send"])
    if chance.random() < 0.3:
        excess = "dead" if route.get("order") == "none" else chance.choice(["wait", "dead"])
        route["rate"] = {"limit": chance.randint(1, 9), "excess": excess}
    return route


def some_file(chance: random.Random) -> str:
    return json.dumps(
        {
            "relay": {"key": "k", "secret": "s"},
            "verifiers": {"gate": {"scheme": "github", "secrets": [SIGNED_WITH]}},
            "routes": [some_route(chance, number) for number in range(chance.randint(1, 6))],
            "unmatched": chance.choice(["count", "dead", [some_item(chance)]]),
        }
    )


def some_body(chance: random.Random) -> tuple[str, bytes]:
    word = chance.choice(WORDS)
    part = f'--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n{word}\r\n--b--\r\n'
    return chance.choice(
        [
            ("application/json", json.dumps({"k": word, "n": chance.choice([1, 2, "1", True])}).encode()),
            ("application/x-www-form-urlencoded", f"k={word}&n=1".encode()),
            ("multipart/form-data; boundary=b", part.encode()),
            ("text/plain; charset=iso-8859-1", b"\xe9"),
        ]
    )


def some_webhook(chance: random.Random) -> Webhook:
    content_type, body = some_body(chance)
    headers = {"content-type": (content_type,), "x": (chance.choice(WORDS), "y")}
    signature = hmac.new(SIGNED_WITH.encode(), body, "sha256").hexdigest()
    headers["x-hub-signature-256"] = (f"sha256={chance.choice([signature, signature, 'f' * 64])}",)
    return webhook(
        body,
        headers=headers,
        bucket=chance.choice(BUCKETS),
        method=chance.choice(["POST", "GET", "\x1b"]),
        query_string=chance.choice(["", "q=x", "q=%FF&q=y"]),
    )


def copied(hook: Webhook) -> Webhook:
    """The same webhook, nothing of it parsed yet."""
    return Webhook(**{one.name: getattr(hook, one.name) for one in fields_of(hook) if one.init})


def comparable(plans: list[Plan]) -> list[tuple[Any, ...]]:
    return [(*plan._replace(error=None), str(plan.error)) for plan in plans]


def told_of(reply: Replying) -> tuple[Any, ...]:
    failed = isinstance(reply.answer, RenderError)
    return reply.route, str(reply.answer) if failed else reply.answer, reply.timeout


def test_the_dry_run_and_the_daemon_agree() -> None:
    chance = random.Random(20)
    verdicts = set()
    sent = answered = 0
    for _ in range(PAIRS // 4):
        config = config_of(some_file(chance))
        for _ in range(4):
            hook = some_webhook(chance)
            routed, steps = config.table.route(copied(hook)), dry_run(config, copied(hook))
            told = [sending.plan for step in steps for sending in step.sendings]
            assert comparable(told) == comparable(list(routed.plans))
            answers = [step.trace.reply for step in steps if step.trace.reply is not None]
            assert list(map(told_of, answers)) == ([told_of(routed.reply)] if routed.reply else [])
            found = [(step.trace.route, step.trace.verdict) for step in steps]
            for names, verdict in (
                (routed.matched, Verdict.MATCHED),
                ([name for name, _ in routed.failures], Verdict.FAILED),
                ([name for name, _ in routed.rejected], Verdict.REJECTED),
            ):
                of_routes = found[: len(config.table.routes)]
                assert [name for name, one in of_routes if one is verdict] == list(names)
            verdicts |= {verdict for _, verdict in found}
            answered += bool(routed.reply)
            sent += bool(routed.matched and routed.plans)
    assert verdicts == set(Verdict)
    assert sent > PAIRS // 10
    assert answered > PAIRS // 20
