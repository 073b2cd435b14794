"""What docs/scale.md says is true: its snippets work, its names exist, its sums add up."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bridge.secret import Secret
from bridge.selfhosted.nats import names, places
from bridge.selfhosted.nats.consumers import MOST_BUCKETS
from bridge.selfhosted.nats.stream import PUBLISH_SECONDS, SKEW
from bridge.selfhosted.registry import MOST_BUCKETS as MOST_BUCKETS_MADE
from bridge.selfhosted.registry import MOST_TOKENS
from bridge.selfhosted.resources import Limits, NatsSettings
from bridge.selfhosted.settings import parse_settings
from tests.support.cli import call
from tests.support.nats import NatsServer, on
from tests.support.relay_clients import running

PAGE = (Path(__file__).parent.parent / "docs" / "scale.md").read_text()
TEXT = " ".join(PAGE.split())
CELL, CELLS = 10_000, 100


def block(language: str) -> str:
    (found,) = re.findall(rf"^ *```{language}\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_settings_are_good(tmp_path: Path) -> None:
    text = block("yaml")
    for name in ("nats-password", "admin-secret"):
        (tmp_path / name).write_text("s3cr3t\n")
        text = text.replace(f"/etc/relay-bridge/{name}", str(tmp_path / name))
    settings = parse_settings(text, {})
    assert settings.engine is not None
    assert (len(settings.engine.servers), settings.engine.replicas) == (3, 3)


async def test_a_nats_server_set_up_like_that_takes_the_largest_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NATS_PASSWORD", "s3cr3t")
    lines = block("nats").splitlines()
    assert lines[0].startswith("listen")
    assert lines[2].startswith("jetstream")
    async with NatsServer(tmp_path, lines[1], lines[3]) as server:
        engine = NatsSettings((server.url,), "relay", Secret("s3cr3t"))
        async with running(replace(on(server, "a"), engine=engine)):
            assert "are refused" not in caplog.text


def test_the_commands_are_there() -> None:
    words = {line.split()[4] for line in block("sh").splitlines()}
    assert words == {"export", "import"}
    for word in words:
        assert call("relay", word, "--help").status == 0


def test_what_is_named_is_called_so() -> None:
    for name in (names.WEBHOOKS, names.OUTCOMES, names.RESOURCES, names.CHANGES):
        assert f"`{name}`" in PAGE
    assert {one.name for one in fields(Limits)} >= set(re.findall(r"`limits\.(\w+)`", PAGE))


def test_the_limits_are_those_of_the_code() -> None:
    assert f"503 if it does not within {PUBLISH_SECONDS:g} s" in TEXT
    assert f"clocks of all machines may differ by {SKEW:g} s" in TEXT
    assert f"for each of its buckets, {MOST_BUCKETS:,} at most" in TEXT
    assert f"goes to another member after {places.GROUP_SECONDS:g} s" in TEXT


def measured(row: str) -> float:
    """The figure of a relay on NATS in the table of what was measured."""
    (found,) = re.findall(rf"^\| {re.escape(row)} \|.*\| ([\d.,]+)[^|]*\|$", PAGE, re.MULTILINE)
    return float(found.replace(",", ""))


def worked_out(row: str) -> tuple[float, float]:
    """The figures of one cell and of all."""
    (found,) = re.findall(rf"^\| {re.escape(row)} \| ([\d.,]+)[^|]*\| ([\d.,]+)[^|]*\|$", PAGE, re.MULTILINE)
    one, everything = (float(number.replace(",", "")) for number in found)
    return one, everything


@pytest.mark.parametrize(
    ("row", "factor", "figure"),
    [
        ("memory of the relay", CELL / 2**20, "memory of the relay, a connection"),
        ("memory of NATS", CELL / 2**20, "memory of NATS, a connection"),
        ("cores, idle", CELL / 1000 / 100, "CPU of the relay, idle"),
    ],
)
def test_what_a_million_takes_follows_from_what_was_measured(row: str, factor: float, figure: str) -> None:
    cell, everything = worked_out(row)
    assert cell == pytest.approx(factor * measured(figure), rel=0.1)
    assert everything == pytest.approx(factor * measured(figure) * CELLS, rel=0.1)


def test_the_other_sums_add_up() -> None:
    assert worked_out("devices") == (CELL, CELL * CELLS)
    assert min(MOST_BUCKETS_MADE, MOST_TOKENS) >= CELL
    processes, _ = worked_out("relay processes, one of them to spare")
    assert worked_out("webhooks") == pytest.approx((CELL / 3600, CELL * CELLS / 3600), rel=0.1)
    a_day = CELL * 24 * 1.7 / 2**20  # 1.7 KiB each
    assert worked_out("stream on disk, for a day") == pytest.approx((a_day, a_day * CELLS), rel=0.1)
    back = CELL / processes / measured("connections let in")
    assert worked_out("time until all are back") == pytest.approx((back, back), rel=0.1)
