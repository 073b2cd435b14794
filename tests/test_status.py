"""The state of the daemon's parts as one mapping: the real parts, but for targets that do as told."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.config.model import Config
from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.retry import Retry
from bridge.gaps import GapFiller
from bridge.intake import Intake
from bridge.journal.journal import Journal
from bridge.message import DELIVERED, Failure, FailureKind, Result
from bridge.relay.link import RelayLink
from bridge.reload import Reloader
from bridge.replies import Replies
from bridge.silence import SilenceAlarms
from bridge.status import ConsoleState, memory, snapshot
from bridge.targets.mqtt import MqttTarget
from bridge.targets.mqtt_answers import Response
from bridge.targets.registry import Registry
from tests.support.deliveries import ScriptedTarget, webhook
from tests.support.process import conserved
from tests.support.relays import KEY, SECRET, running_relay
from tests.support.routing_files import config_of
from tests.support.waiting import eventually

ROUTING = """\
node: shed
relay: {{url: '{url}', key: {key}, secret: {secret}}}
brokers: {{home: {{url: "mqtt://127.0.0.1:1", username: pi, password: {secret}}}}}
routes:
  - {{name: ring, match: {{bucket: doorbell}}, send: [{{mqtt: home/ring}}]}}
  - {{name: odd, match: {{bucket: doorbell}}, send: [{{mqtt: "home/{{{{ body.missing }}}}"}}]}}
"""


class NoConsole:
    state = ConsoleState()


class Parts:
    """What `snapshot` looks at."""

    def __init__(self, config: Config, journal: Journal) -> None:
        self.config = config
        self.counts = Counts()
        self.journal = journal
        self.dispatcher = Dispatcher(journal, self.counts)
        self.registry = Registry(self.dispatcher, config.node)
        self.intake = Intake(self.dispatcher, self.counts, config.table, 1)
        self.replies = Replies()
        self.silences = SilenceAlarms(self.counts, journal, time.time)
        self.console = NoConsole()
        self.gaps = GapFiller(journal, lambda _: False)
        self.relay = RelayLink(self.intake.accept, lambda _error: None, told=self.gaps.relay_became)
        self.reloader = Reloader(Path("bridge.yaml"), lambda _config, _generation: None, time.time)
        self.started_at = time.time() - 60
        self.started = time.monotonic() - 60
        self.reloader.start(config, ())

    def target(self, name: str) -> ScriptedTarget:
        target = ScriptedTarget(name)
        target.listener = self.dispatcher
        self.dispatcher.use({name: (target, Retry())})
        return target


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with running_relay("doorbell") as relay:
        config = config_of(ROUTING.format(url=relay.socket_url, key=KEY, secret=f'"{SECRET}"'))
        journal = await Journal.open(tmp_path / "journal.db", max_bytes=16 * 1024 * 1024)
        parts = Parts(config, journal)
        yield parts
        await parts.relay.close()
        await parts.gaps.close()
        await parts.replies.close()
        await parts.registry.close(1.0)
        await parts.dispatcher.stop()
        await journal.close()


def picked(counts: Any, *names: str) -> list[int]:
    return [counts[name] for name in names]


async def test_a_daemon_that_just_started(parts: Parts) -> None:
    status = snapshot(parts)
    assert status["node"] == "shed"
    assert status["relay"] == {"state": "down"}
    assert status["targets"] == {}
    counters = status["counters"]
    assert isinstance(counters, dict)
    assert set(counters.values()) == {0}
    assert isinstance(status["uptime"], float)
    assert 59 < status["uptime"] < 120


async def test_the_relay_and_the_targets_tell_their_state(parts: Parts) -> None:
    parts.relay.use(parts.config.relay)
    targets = parts.registry.use(parts.config.brokers)
    await eventually(lambda: targets["mqtt:home"].state().name == "down")
    await eventually(lambda: snapshot(parts)["relay"]["state"] == "subscribed")  # type: ignore[index]  # JSON
    home = snapshot(parts)["targets"]["mqtt:home"]  # type: ignore[index]  # JSON
    assert home["state"] == "down"
    assert "refused" in home["reason"]
    assert abs(home["since"] - time.time()) < 60


async def test_the_counts_add_up_at_every_moment(parts: Parts) -> None:
    answers: Iterator[Result] = iter([DELIVERED, Failure(FailureKind.PERMANENT, "http-400", "no")])
    home = parts.target("mqtt:home")
    home.answer = lambda _delivery: next(answers)
    for n in range(2):
        parts.intake.accept(webhook(id=f"log-{n}"))
        conserved(snapshot(parts))
    await eventually(lambda: parts.counts.route("ring").dead == 1)
    home.set_up(False)
    parts.intake.accept(webhook(id="log-2"))
    parts.intake.accept(webhook(id="log-2"))
    parts.intake.accept(webhook(id="log-3", bucket="meter"))
    status = snapshot(parts)
    conserved(status)
    assert picked(status["counters"], "webhooks", "duplicates", "unmatched") == [5, 1, 1]
    ring, odd = (status["routes"][name] for name in ("ring", "odd"))  # type: ignore[index]  # JSON
    assert picked(ring, "failed", "delivered", "dead") == [0, 1, 1]
    assert picked(odd, "failed", "delivered", "dead") == [0, 0, 3]
    target = status["targets"]["mqtt:home"]  # type: ignore[index]  # JSON
    assert (target["accepted"], target["dead"], target["pending"]) == (6, 4, 1)
    assert target["state"] == "not configured"


async def test_gaps_and_answers_are_told(parts: Parts) -> None:
    parts.gaps.use(parts.config.relay, parts.config.gaps)
    parts.relay.use(parts.config.relay)
    home = parts.registry.use(parts.config.brokers)["mqtt:home"]
    assert isinstance(home, MqttTarget)

    def filled() -> Any:
        gaps: Any = snapshot(parts)["gaps"]
        return gaps if gaps["name"] == "idle" and gaps["end"] else None

    gaps = await eventually(filled)
    status = snapshot(parts)
    assert picked(gaps, "found", "unreadable", "beyond") == [0, 0, 0]
    assert gaps["start"] <= gaps["end"]
    assert status["replies"] == {"sent": 0, "fallbacks": 0, "late": 0, "failed": 0}
    assert "answers" not in status["targets"]["mqtt:home"]  # type: ignore[index]  # JSON
    home.answers.take(Response("a/b", b"", None, None), 0.0)
    told = snapshot(parts)["targets"]["mqtt:home"]["answers"]  # type: ignore[index]  # JSON
    assert told == {"taken": 0, "strays": 1}


async def test_a_target_tells_its_last_failure_and_who_was_not_there(parts: Parts) -> None:
    home = parts.registry.use(parts.config.brokers)["mqtt:home"]
    assert isinstance(home, MqttTarget)
    await eventually(lambda: home.state().name == "down")
    home.counters.no_subscriber = 3
    told = snapshot(parts)["targets"]["mqtt:home"]  # type: ignore[index]  # JSON
    assert told["unheard"] == 3
    assert "refused" in told["last_failure"]["reason"]
    assert abs(told["last_failure"]["at"] - time.time()) < 60
    parts.target("http:shop")
    gone = snapshot(parts)["targets"]["http:shop"]  # type: ignore[index]  # JSON
    assert (gone["state"], gone["last_failure"], "unheard" in gone) == ("not configured", None, False)


MEMORY = "from bridge.status import memory; found = memory(); print(found['rss_kib'], found['max_rss_kib'])"


def test_the_memory_is_this_processs_own() -> None:
    inherited = bytearray(b"x" * (200 << 20))
    shown = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    now, most = map(int, shown.split())
    assert 5_000 < now <= most < len(inherited) >> 10


def test_without_proc_the_most_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bridge.status.PROCESS", tmp_path / "nowhere")
    found = memory()
    assert found["rss_kib"] is None
    assert found["max_rss_kib"] == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def test_it_is_json_and_holds_no_secret_and_no_webhook(parts: Parts) -> None:
    parts.relay.use(parts.config.relay)
    parts.registry.use(parts.config.brokers)
    parts.target("mqtt:home").set_up(False)
    parts.intake.accept(webhook(b'{"private": "diary"}'))
    text = json.dumps(snapshot(parts))
    assert SECRET not in text
    assert "diary" not in text
