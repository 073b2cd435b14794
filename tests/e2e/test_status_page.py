"""What docs/mqtt.md shows of the status topics is what a subscriber sees."""

import json
import re
from pathlib import Path
from typing import Any

from bridge.home.commands import COMMANDS
from tests.e2e.test_status_topics import BASE, Rig, rig, routes
from tests.support.http import recording_server

PAGE = (Path(__file__).parent.parent.parent / "docs" / "mqtt.md").read_text()
VARIES = {
    *("version", "started", "id", "time", "last_webhook", "at", "fingerprint"),
    *("journal_bytes", "uptime_seconds", "rss_kib", "max_rss_kib"),
}
"""Keys whose values no two runs have in common."""


def told() -> list[str]:
    """The lines that the page shows."""
    (text,) = re.findall(
        r"^\$ mosquitto_sub -v -t 'relay-bridge/#'\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
    )
    return [line for line in text.splitlines() if line]


def requests() -> dict[str, str]:
    """The commands of the page, and what they are asked with."""
    rows: list[tuple[str, str]] = re.findall(r"^\| `(\w+)` \| `(\{.*?\})` \|", PAGE, re.MULTILINE)
    return dict(rows)


def shape(line: str) -> tuple[str, Any]:
    """A line as every run has it: the topic, and the payload with types for values that vary."""
    topic, _, payload = line.partition(" ")
    return topic, _shape(json.loads(payload)) if payload.startswith("{") else payload


def _shape(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: type(one).__name__ if key in VARIES else _shape(one) for key, one in value.items()}


async def a_life(it: Rig) -> list[str]:
    """What `mosquitto_sub -v` prints of a bridge that starts, takes a webhook, is asked, and stops."""
    await it.until(f"{BASE}/health", lambda said: said["relay"]["connected"])
    await it.ring(X_GitHub_Event="push")
    await it.until(f"{BASE}/health", lambda said: said["counters"]["delivered"] == 1)
    await it.ask("reload", '{"transaction": 7}')
    assert await it.bridge.stop() == 0
    await it.until(f"{BASE}/status", lambda said: said == "offline")
    own = [one for one in it.seen.messages if one.topic.startswith(f"{BASE}/")]
    return [f"{one.topic} {one.payload.decode()}" for one in own]


async def test_a_subscriber_sees_what_the_page_shows(tmp_path: Path) -> None:
    text = routes("doorbell", to="mqtt: home/doorbell/ring")
    async with rig(tmp_path, "commands: true", text) as it:
        seen = [shape(line) for line in await a_life(it)]
    shown = [shape(line) for line in told()]
    assert {topic for topic, _ in seen} == {topic for topic, _ in shown}
    left = iter(seen)
    missing = [line for line in shown if line not in left]
    assert not missing, seen


async def test_the_commands_of_the_page_are_all_there_are_and_are_taken(tmp_path: Path) -> None:
    asked = requests()
    assert asked.keys() == {"health", *COMMANDS}
    async with recording_server(status=400) as server:
        text = routes("ring", to=f"http: '{server.url}/x'") + routes("bell").removeprefix("routes:\n")
        async with rig(tmp_path, "commands: true", text) as it:
            await it.ring()
            await it.until(f"{BASE}/dead", lambda said: said["id"] == 1)
            for command, payload in asked.items():
                answer = await it.ask(command, payload)
                assert answer["status"] == "ok", (command, answer)
