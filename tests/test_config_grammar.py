from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from bridge.config import grammar
from bridge.config.grammar_connections import BROKER, RETRY, SERVICE
from bridge.config.grammar_routes import SILENCE
from bridge.config.loader import load
from bridge.config.model import (
    BrokerSettings,
    ConsoleSettings,
    JournalSettings,
    ServiceSettings,
    Silence,
    StatusSettings,
)
from bridge.config.records import REQUIRED, Key, Record
from bridge.config.reference import records_in
from bridge.config.shapes import Choice, Duration, Integer
from bridge.config.values import parse_duration
from bridge.delivery.retry import Retry

RECORDS = list({record.title: record for _, record in records_in(grammar.FILE, "")}.values())
STARTER = Path(__file__).parent.parent / "config" / "bridge.yaml"


def keys() -> Iterator[tuple[Record, Key]]:
    return ((record, key) for record in RECORDS for key in record.keys)


def test_every_key_is_described_in_one_line() -> None:
    assert len(list(keys())) > 80
    for record, key in keys():
        assert key.description.endswith("."), (record.title, key.name)
        assert len(key.description) < 100
        assert "\n" not in key.description


def test_no_record_has_a_key_twice() -> None:
    for record in RECORDS:
        names = [key.name for key in record.keys]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("record", "settings", "computed"),
    [
        (BROKER, BrokerSettings, {"name", "scheme", "host", "port", "path"}),
        (SERVICE, ServiceSettings, {"name", "headers", "retry"}),
        (grammar.JOURNAL, JournalSettings, set()),
        (RETRY, Retry, set()),
        (grammar.CONSOLE, ConsoleSettings, {"listen"}),
        (grammar.STATUS, StatusSettings, {"broker", "topic"}),
        (SILENCE, Silence, set()),
    ],
)
def test_keys_and_defaults_are_those_of_the_model(record: Record, settings: Any, computed: set[str]) -> None:
    defaults = {field.name: field.default for field in fields(settings) if field.name not in computed}
    written = {key.name: key.default for key in record.keys if key.name in defaults}
    assert written.keys() == defaults.keys() - ({"url"} if settings is BrokerSettings else set())
    assert {name: MISSING if value is REQUIRED else value for name, value in written.items()} == defaults


def test_defaults_are_allowed_values() -> None:
    for _, key in keys():
        if isinstance(key.shape, Choice) and key.default not in {None, REQUIRED}:
            assert key.default in key.shape.words
        if isinstance(key.shape, Integer) and isinstance(key.default, int):
            assert key.shape.least <= key.default <= key.shape.most


def test_durations_have_bounds_that_are_durations() -> None:
    for _, key in keys():
        if isinstance(key.shape, Duration):
            assert parse_duration(key.shape.least) < parse_duration(key.shape.most)


def test_the_starter_file_can_be_used() -> None:
    result = load(STARTER, environment={"RELAY_KEY": "a", "RELAY_SECRET": "b"})
    assert result.problems == ()
    assert result.config is not None
    assert result.config.relay.buckets == ("doorbell",)


def test_what_is_commented_out_in_the_starter_file_can_be_used(tmp_path: Path) -> None:
    lines = STARTER.read_text().splitlines()[1:]  # the first line tells an editor where the schema is
    used = [_uncommented(line) for line in lines if "api_key" not in line]
    assert sum(a != b for a, b in zip(lines, used, strict=False)) > 20
    (tmp_path / "bridge.yaml").write_text("\n".join(used))
    (tmp_path / "mqtt-password").write_text("x")
    (tmp_path / "routes.d").mkdir()
    (tmp_path / "routes.d" / "more.yaml").write_text("routes: [{name: more, send: [{mqtt: more}]}]")
    names = ("RELAY_KEY", "RELAY_SECRET", "NODERED_TOKEN", "CONSOLE_TOKEN")
    environment = dict.fromkeys(names, "x") | {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    result = load(tmp_path / "bridge.yaml", environment=environment)
    assert result.problems == (), result.report()
    assert result.config is not None
    assert [route.name for route in result.config.table.routes] == ["doorbell", "github-push", "more"]
    assert result.config.relay.buckets is None  # `buckets: all`


def _uncommented(line: str) -> str:
    """A line of YAML that was commented out, brought back; any other line as it is."""
    start, _, rest = line.partition("# ")
    key = rest.removeprefix("- ").strip().removeprefix("- ").partition(":")[0]
    is_yaml = (
        not start.strip() and ":" in rest and key.replace("_", "").replace(".", "").replace("-", "").isalnum()
    )
    return start + rest if is_yaml else line
