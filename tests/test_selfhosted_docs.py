"""What docs/self-hosted.md says is true."""

import base64
import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from bridge.config.loader import load_text
from bridge.config.secrets import Secrets
from bridge.relay.protocol import ServerProtocol, SubscribeRequested
from bridge.selfhosted import audit
from bridge.selfhosted.api.document import openapi
from bridge.selfhosted.gate import ATTEMPTS
from bridge.selfhosted.resources import MIB, Limits
from bridge.selfhosted.settings import parse_settings
from bridge.selfhosted.template import check_template
from tests.support.cli import call

PAGE = (Path(__file__).parent.parent / "docs" / "self-hosted.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_settings_are_good() -> None:
    (text,) = [one for one in blocks("yaml") if "buckets:" in one and "routes:" not in one]
    settings = parse_settings(text, {"RELAY_SECRET": "a", "GITHUB_HOOK": "b"})
    assert [one.name for one in settings.buckets[0].outputs] == ["nodered", "archive"]


def test_the_other_settings_are_good(tmp_path: Path) -> None:
    files = {"/etc/relay-bridge/state-key": base64.b64encode(bytes(32)).decode()}
    found = [one for one in blocks("yaml") if "buckets:" not in one and "routes:" not in one]
    assert len(found) == 4
    for text in found:
        for place, content in files.items():
            (tmp_path / Path(place).name).write_text(content)
            text = text.replace(place, str(tmp_path / Path(place).name))  # noqa: PLW2901  # one by one
        parse_settings(f"{text}\ntokens: {{a: b}}\nbuckets: {{a: }}", {})


def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.yaml").write_text(f"state: {tmp_path}/other\n")
    ran = 0
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line.replace("/var/lib/relay", f"{tmp_path}/state"))
        if words[0] != "relay-bridge" or words[-1] == "relay.yaml":
            continue
        words, _, target = "\0".join(words).partition("\0>\0")[0].split("\0"), None, words[-1]
        done = call(*words[1:])
        assert done.status == 0, f"{line}: {done.err}"
        if ">" in line:
            (tmp_path / target).write_text(done.out)
        ran += 1
    assert ran == 8


def test_every_path_of_the_interface_is_there() -> None:
    named = set(re.findall(r"`(/v1/[a-z{}/-]+)`", PAGE.partition("| path |")[2].partition("\n\n")[0]))
    assert named == set(json.loads(openapi())["paths"])


def test_every_place_of_a_template_is_one() -> None:
    places = re.findall(r"`(\{\{.*?\}\})`", PAGE)
    assert len(places) == 7
    for place in places:
        check_template(place)


def test_the_subscription_is_understood() -> None:
    protocol = ServerProtocol()
    protocol.authenticated()
    (text,) = blocks("json")
    asked = protocol.receive(text)
    assert isinstance(asked, SubscribeRequested)
    assert (asked.explicit, asked.exact, asked.group, asked.extras) == (True, True, "workers", {})


def test_the_bridges_of_the_example_share() -> None:
    (text,) = [one for one in blocks("yaml") if "group:" in one]
    loaded = load_text(text, secrets=Secrets(environment={"RELAY_SECRET": "a"}))
    assert loaded.config is not None, loaded.report()
    assert loaded.config.relay.group == "house"
    refused = load_text(f"{text}gaps: {{horizon: 6h}}\n", secrets=Secrets(environment={"RELAY_SECRET": "a"}))
    assert refused.config is None


def test_the_limits_of_guessing_are_those_of_the_gate() -> None:
    each = ATTEMPTS.seconds / ATTEMPTS.count
    assert f"may fail {ATTEMPTS.count} times at once, and every {each:g} s once more" in PAGE.replace(
        "\n", " "
    )


def test_as_many_changes_are_recorded_as_it_says() -> None:
    assert f"The newest {audit.MOST:,} records are kept." in PAGE


def test_the_limits_are_the_defaults() -> None:
    limits = Limits()
    assert {one.name for one in fields(Limits)} >= set(re.findall(r"`limits\.(\w+)`", PAGE))
    said = PAGE.partition("## Limits")[2]
    size = f"{limits.history_bytes // MIB} MiB or {limits.history_frames:,} webhooks"
    history = f"| {limits.history_age / 60:g} minutes, {size}"
    for text in (
        f"{limits.body // MIB} MiB (`limits.body`), {limits.body_json // MIB} MiB as JSON",
        f"| {limits.requests}, then 503",
        f"| {limits.connections:,} (`limits.connections`)",
        f"| {limits.queue_bytes // MIB} MiB or {limits.queue_frames:,} webhooks, then",
        history,
        f"| {limits.log_age / 3600:g} hours, {limits.log_bytes // MIB} MiB",
        f"| {limits.idle:g} s",
    ):
        assert text in said
    assert f"{limits.calls_frames:,} calls" in PAGE.replace("\n", " ")
