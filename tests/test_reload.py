"""Reloads of a real file: applied, unchanged or rejected, and what the log says of it."""

import logging
from pathlib import Path

import pytest

from bridge.config.loader import load
from bridge.config.model import Config
from bridge.errors import ConfigError
from bridge.reload import Outcome, Reloader


def text(topic: str = "home/ring", secret: str = "s3cret", more: str = "") -> str:
    return (
        f"relay: {{key: pi, secret: '{secret}'}}\n"
        "brokers: {home: {url: 'mqtt://127.0.0.1:1'}}\n"
        f"routes: [{{name: ring, match: {{bucket: doorbell}}, send: [{{mqtt: {topic}{more}}}]}}]\n"
    )


class Rig:
    """A reloader that started with a file, and what it applied."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.applied: list[tuple[str, int]] = []
        self.refuse: str | None = None
        self.reloader = Reloader(file, self._apply, lambda: 1.75e9)

    def _apply(self, config: Config, generation: int) -> None:
        if self.refuse is not None:
            raise ConfigError(self.refuse)
        self.applied.append((config.fingerprint, generation))

    def start(self) -> None:
        loaded = load(self.file)
        assert loaded.config is not None, loaded.report()
        self.reloader.start(loaded.config, loaded.problems)

    async def reload(self, content: str | None = None) -> Outcome:
        if content is not None:
            self.file.write_text(content)
        return await self.reloader.reload()


@pytest.fixture
def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Rig:
    caplog.set_level(logging.INFO)
    file = tmp_path / "bridge.yaml"
    file.write_text(text())
    rig = Rig(file)
    rig.start()
    caplog.clear()
    return rig


def test_the_start_is_generation_1(rig: Rig) -> None:
    assert rig.reloader.outcome.name == "applied"
    assert rig.applied == [(rig.reloader.outcome.fingerprint, 1)]


async def test_a_new_file_is_applied_with_the_next_generation(rig: Rig) -> None:
    outcome = await rig.reload(text("home/bell"))
    assert (outcome.name, outcome.generation, outcome.at) == ("applied", 2, 1.75e9)
    assert rig.applied[1:] == [(outcome.fingerprint, 2)]
    assert rig.reloader.outcome is outcome


async def test_the_same_file_changes_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.file.touch()
    outcome = await rig.reload()
    assert (outcome.name, outcome.generation) == ("unchanged", 1)
    assert len(rig.applied) == 1
    assert not caplog.records


async def test_a_mistake_changes_nothing_and_is_told_with_its_place(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    fingerprint = rig.reloader.outcome.fingerprint
    outcome = await rig.reload(text().replace("send", "sned"))
    assert (outcome.name, outcome.generation, outcome.fingerprint) == ("rejected", 1, fingerprint)
    assert [problem.line for problem in outcome.problems] == [3] * len(outcome.problems)
    assert len(rig.applied) == 1
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert f"{rig.file}:3:" in record.getMessage()
    assert "did you mean 'send'?" in record.getMessage()


async def test_the_same_mistake_is_told_once_and_its_end_too(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        await rig.reload(text().replace("send", "sned"))
    await rig.reload(text().replace("routes", "rutes"))
    await rig.reload(text())
    await rig.reload(text())
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert rig.reloader.outcome.name == "unchanged"
    await rig.reload(text().replace("send", "sned"))
    assert len(caplog.records) == 4, "it is news again"


async def test_a_file_that_is_gone_is_rejected(rig: Rig) -> None:
    rig.file.unlink()
    outcome = await rig.reload()
    assert (outcome.name, outcome.generation) == ("rejected", 1)
    assert outcome.problems[0].code.number == "E0001"


async def test_warnings_are_applied_and_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    outcome = await rig.reload(text(more=", retain: true"))
    assert outcome.name == "applied"
    assert [problem.severity for problem in outcome.problems] == ["warning"]
    assert "W0504" in caplog.text


async def test_a_start_with_the_last_good_file_says_that_the_present_one_was_rejected(rig: Rig) -> None:
    good = load(rig.file).config
    assert good is not None
    rig.file.write_text("routes: 5\n")
    again = Rig(rig.file)
    again.reloader.start(good, load(rig.file).problems)
    outcome = again.reloader.outcome
    assert (outcome.name, outcome.generation, outcome.fingerprint) == ("rejected", 1, good.fingerprint)
    assert outcome.problems
    assert again.applied == [(good.fingerprint, 1)]
    assert (await again.reload(text())).name == "unchanged"
    assert (await again.reload(text("home/bell"))).name == "applied"


async def test_another_secret_behind_the_same_reference_is_a_change(rig: Rig, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old\n")
    referring = text(secret=f"${{file:{secret}}}")
    first = await rig.reload(referring)
    secret.write_text("new\n")
    second = await rig.reload(referring)
    assert (second.name, second.generation) == ("applied", first.generation + 1)
    assert second.fingerprint == first.fingerprint, "it is of the file alone"
    assert (await rig.reload()).name == "unchanged"


async def test_what_can_not_be_put_to_use_is_rejected(rig: Rig) -> None:
    rig.refuse = "home: the certificate authority can't be read"
    outcome = await rig.reload(text("home/bell"))
    assert (outcome.name, outcome.generation) == ("rejected", 1)
    assert [problem.message for problem in outcome.problems] == [rig.refuse]
    rig.refuse = None
    assert (await rig.reload()).name == "applied"


async def test_an_outcome_as_a_command_shows_it(rig: Rig) -> None:
    answer = (await rig.reload("routes: 5\n")).as_dict()
    assert (answer["outcome"], answer["generation"], answer["at"]) == ("rejected", 1, 1.75e9)
    problems = answer["problems"]
    assert isinstance(problems, list)
    assert {"file", "line", "column", "severity", "code", "message"} <= set(problems[0])
