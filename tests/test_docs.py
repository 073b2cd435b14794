"""What the documentation says is true: its snippets are checked, and its commands exist."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from bridge.cli.main import COMMANDS
from bridge.config.loader import load
from tests.support.relays import KEY, SECRET, post, running_relay, sender
from tests.support.waiting import eventually

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        texts = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
        found += [(f"{page.name}-{number}", text) for number, text in enumerate(texts, 1)]
    return found


YAML = [(name, text) for name, text in blocks("yaml") if re.search(r"^routes:", text, re.MULTILINE)]


def test_there_are_snippets_to_check() -> None:
    assert len(YAML) >= 2
    assert blocks("python")


@pytest.mark.parametrize(("name", "text"), YAML, ids=[name for name, _ in YAML])
def test_every_routing_file_in_the_docs_loads(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.yaml"
    file.write_text(text)
    (tmp_path / "routes.d").mkdir()
    (tmp_path / "routes.d" / "one.yaml").write_text("routes: []\n")
    environment = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)\}", text), "s3cret")
    loaded = load(file, environment=environment)
    assert loaded.config is not None, loaded.report()
    assert loaded.problems == (), loaded.report()


def test_the_starter_file_loads() -> None:
    text = (ROOT / "config" / "bridge.yaml").read_text()
    environment = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)\}", text), "s3cret")
    loaded = load(ROOT / "config" / "bridge.yaml", environment=environment)
    assert loaded.config is not None, loaded.report()


def test_every_command_in_the_docs_exists() -> None:
    for page in PAGES:
        for command in re.findall(r"^relay-bridge (\w+)|`relay-bridge (\w+)", page.read_text(), re.MULTILINE):
            assert (command[0] or command[1]) in COMMANDS, f"{page.name}: {command}"


def test_every_make_target_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"^make (\w+)", page.read_text(), re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"


async def test_the_python_example_prints_webhooks(tmp_path: Path) -> None:
    example = next(text for _, text in blocks("python") if "RelayClient" in text)
    out = tmp_path / "out"
    async with running_relay("doorbell") as relay, sender() as session:
        program = example.replace('buckets=["doorbell"]', f'buckets=["doorbell"], url="{relay.socket_url}"')
        assert program != example
        environment = os.environ | {"RELAY_KEY": KEY, "RELAY_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}
        with out.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", program, env=environment, stdout=output, stderr=output
            )
        try:
            await eventually(lambda: relay.subscribers == 1)
            await post(session, relay.webhook_url("doorbell"), b'{"event": "ring"}')
            await eventually(lambda: b"ring" in out.read_bytes())
        finally:
            process.kill()
            await process.wait()
    assert out.read_text() == 'POST doorbell application/json {"event": "ring"}\n'
