"""The metrics as Prometheus reads them, and what is written about them."""

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from bridge.config.model import ConsoleSettings
from bridge.console import metrics
from bridge.console.latency import BOUNDS
from bridge.console.metrics import MOST_LABELS, exposition
from bridge.message import Failure, FailureKind
from tests.support.console import CANARY, Parts, asking, running_console, running_parts
from tests.support.deliveries import webhook
from tests.support.waiting import eventually

ROOT = Path(__file__).parent.parent
DASHBOARD = ROOT / "examples" / "grafana" / "relay-bridge.json"
PREFIX = "relay_bridge_"
UNITS = ("bytes", "seconds", "total", "info")


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with running_parts(tmp_path) as parts:
        yield parts


def parsed(parts: Parts) -> dict[str, Metric]:
    families = list(text_string_to_metric_families(exposition(parts).decode()))
    assert len({family.name for family in families}) == len(families)
    return {family.name.removeprefix(PREFIX): family for family in families}


def values(family: Metric) -> dict[str, float]:
    """By the only label's value."""
    return {"".join(sample.labels.values()): sample.value for sample in family.samples}


async def test_each_metric_has_a_type_a_text_and_a_name_by_the_conventions(parts: Parts) -> None:
    text = exposition(parts).decode()
    names = set(re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?[{ ][^#]*$", text, re.MULTILINE))
    assert len(names) > 30
    for name in names:
        assert name.startswith(PREFIX)
        assert re.search(rf"^# HELP {name} [A-Z].*\.$", text, re.MULTILINE), name
        (kind,) = re.findall(rf"^# TYPE {name} (\w+)$", text, re.MULTILINE)
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"_(ms|milliseconds|minutes|kib|mib|count)(_|$)", name), "base units only"


async def test_the_counts_of_each_target_add_up(parts: Parts) -> None:
    answers = iter([Failure(FailureKind.PERMANENT, "http-400", "no")])
    parts.targets["http:shop"].answer = lambda _: next(answers)
    parts.targets["mqtt:home"].set_up(False)
    for number in range(3):
        parts.intake.accept(webhook(b'{"door": "front"}', id=f"a{number}"))
    parts.intake.accept(webhook(id="b", bucket="shop", headers={"x-kind": ("order",)}))
    parts.intake.accept(webhook(id="c", bucket="other"))
    await eventually(lambda: parts.counts.target("http:shop").dead)
    found = parsed(parts)
    for target in ("mqtt:home", "http:shop"):
        ends = ("delivered", "dead", "expired", "evicted")
        settled = sum(values(found[f"deliveries_{end}"])[target] for end in ends)
        pending = values(found["deliveries_pending"])[target]
        assert values(found["deliveries_accepted"])[target] == settled + pending
    assert values(found["deliveries_pending"])["mqtt:home"] == 3
    assert values(found["deliveries_dead"])["http:shop"] == 1
    assert values(found["webhooks"]) == {"": 5}
    assert values(found["webhooks_unmatched"]) == {"": 1}
    assert values(found["route_webhooks_matched"]) == {"ring": 3, "order": 1}


async def test_the_age_of_what_waits(parts: Parts) -> None:
    parts.targets["mqtt:home"].set_up(False)
    parts.intake.accept(webhook(b'{"door": "front"}', received_at=time.time() - 90))
    ages = values(parsed(parts)["deliveries_pending_age_seconds"])
    assert 90 <= ages["mqtt:home"] < 120
    parts.targets["mqtt:home"].set_up(True)
    await eventually(lambda: parts.counts.target("mqtt:home").delivered)
    assert values(parsed(parts)["deliveries_pending_age_seconds"])["mqtt:home"] == 0


async def test_the_latency_is_a_histogram(parts: Parts) -> None:
    for number in range(5):
        parts.intake.accept(webhook(b'{"door": "x"}', id=f"{number}", received_at=time.time()))
    await eventually(lambda: parts.counts.target("mqtt:home").delivered == 5)
    samples = parsed(parts)["delivery_latency_seconds"].samples
    buckets = [sample for sample in samples if sample.name.endswith("_bucket")]
    assert [sample.labels["le"] for sample in buckets] == [*map(str, BOUNDS), "+Inf"]
    counts = [sample.value for sample in buckets]
    assert counts == sorted(counts)
    (count,) = (sample.value for sample in samples if sample.name.endswith("_count"))
    assert counts[-1] == count == 5


async def test_a_rejected_reload_shows(parts: Parts, tmp_path: Path) -> None:
    before = parsed(parts)
    assert values(before["config_last_reload_successful"]) == {"": 1}
    (tmp_path / "bridge.yaml").write_text("routes: 5\n")
    await parts.reload()
    found = parsed(parts)
    assert values(found["config_last_reload_successful"]) == {"": 0}
    assert values(found["config_problems"])["error"] >= 1
    assert values(found["config_generation"]) == {"": 1}


async def test_labels_are_bounded_and_nothing_is_lost(parts: Parts) -> None:
    for number in range(MOST_LABELS + 40):
        parts.counts.route(f"old-{number}").matched = 1
        parts.counts.target(f"http:old-{number}").accepted = 1
        parts.counts.target(f"http:old-{number}").delivered = 1
    parts.counts.route("ring").matched = 7
    found = parsed(parts)
    routes = values(found["route_webhooks_matched"])
    assert len(routes) == MOST_LABELS + 1
    assert routes["ring"] == 7, "today's routes come first"
    assert sum(routes.values()) == MOST_LABELS + 40 + 7
    accepted = values(found["deliveries_accepted"])
    assert sum(accepted.values()) == MOST_LABELS + 40
    assert all(len(values(family)) <= MOST_LABELS + 1 for family in found.values())


async def test_they_hold_no_secret(parts: Parts) -> None:
    assert CANARY not in exposition(parts).decode()


async def test_no_registry_is_shared(parts: Parts) -> None:
    assert exposition(parts).count(b"build_info{") == 1
    assert exposition(parts).count(b"build_info{") == 1
    assert b"python_info" not in exposition(parts)


async def test_they_are_served_as_text(parts: Parts) -> None:
    settings = ConsoleSettings(("127.0.0.1", 0))
    async with (
        running_console(parts, settings) as url,
        asking(url) as session,
        session.get("/metrics") as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert list(text_string_to_metric_families(await answer.text()))


# What is written about them


async def test_the_documentation_lists_each_metric_and_no_other(parts: Parts) -> None:
    text = exposition(parts).decode()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    page = (ROOT / "docs" / "metrics.md").read_text()
    told = dict(re.findall(r"^\| `(relay_bridge_\w+)` \| (\w+) \|", page, re.MULTILINE))
    assert told == kinds


def expressions(dashboard: Any) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


async def test_each_metric_of_the_dashboard_exists(parts: Parts) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    text = exposition(parts).decode()
    names = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    histograms = {f"{PREFIX}delivery_latency_seconds{part}" for part in ("_bucket", "_sum", "_count")}
    used = {name for one in expressions(dashboard) for name in re.findall(r"relay_bridge_\w+", one)}
    assert len(used) > 12
    assert used <= names | histograms
    labels = set(re.findall(r"[{,](\w+)=\"", text))
    assert {label for one in expressions(dashboard) for label in re.findall(r"by \((\w+)\)", one)} <= labels


def test_the_dashboard_can_be_imported_anywhere() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["id"] is None
    assert [variable["type"] for variable in dashboard["templating"]["list"]] == ["datasource"]
    identities = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identities)) == len(identities)
    for panel in dashboard["panels"]:
        assert panel["title"]
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"


def test_counters_are_rated_and_gauges_are_not() -> None:
    for expression in expressions(json.loads(DASHBOARD.read_text())):
        for name in re.findall(r"relay_bridge_\w+", expression):
            is_rated = re.search(rf"(?:rate|increase)\({name}\[", expression) is not None
            assert is_rated == name.endswith(("_total", "_bucket", "_sum", "_count")), expression


def test_relay_states_are_the_relays() -> None:
    source = (ROOT / "bridge" / "relay" / "state.py").read_text()
    told = re.search(r'"""(connecting, [^"]+)\."""', source)
    assert told is not None
    assert set(re.split(r", | or ", told[1])) == set(metrics.RELAY_STATES)
