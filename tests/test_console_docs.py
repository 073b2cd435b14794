"""What the page about the console says is true."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.config.grammar import CONSOLE
from bridge.console import console, events, failures, listener
from bridge.web import origin
from tests.support.console import Parts, asking, running_console, running_parts

TEXT = (Path(__file__).parent.parent / "docs" / "console.md").read_text()


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with running_parts(tmp_path) as parts:
        yield parts


def test_it_lists_each_setting() -> None:
    table = TEXT.partition("## Settings")[2].partition("## Addresses")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [key.name for key in CONSOLE.keys]


async def test_each_address_is_answered(parts: Parts) -> None:
    told = re.findall(r"`(GET|POST) (/\S*)`", TEXT)
    assert len(told) >= 10
    async with running_console(parts) as url, asking(url) as session:
        for method, path in told:
            async with session.request(
                method, path.replace("NUMBER", "1"), headers={"X-Relay-Bridge": "1"}, json={"ids": []}
            ) as found:
                is_known = found.status != 404 or found.content_type == "application/json"
                assert is_known, path
                assert found.status != 405, path


def test_its_figures_are_the_codes() -> None:
    assert origin.MUTATION_HEADER in TEXT
    assert f"at most {events.MOST_CLIENTS} clients" in TEXT
    assert f"mode is {listener.SOCKET_MODE:04o}" in TEXT
    assert (events.TICK, "at most four changes a second" in TEXT) == (0.25, True)
    assert (console.RETRY_SECONDS, "every ten seconds" in TEXT) == (10, True)
    assert (failures.ALLOWED, failures.WINDOW) == (10, 60)
    assert "After ten wrong tokens within a minute" in TEXT
