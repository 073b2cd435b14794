import asyncio
import tempfile
from pathlib import Path

import pytest

from tests.support.cli import Done, run, running
from tests.support.doctor import CANARY, Installation, installation, listener
from tests.support.relays import KEY, SECRET, post, sender
from tests.support.waiting import eventually

NOTHING = dict.fromkeys(("RELAY_KEY", "RELAY_SECRET", "RELAY_API_KEY", "MQTT_PASSWORD"), "")


async def init(folder: Path, *arguments: str | Path, stdin: str = "", **environment: str) -> Done:
    """Make an installation in `new`, with an environment that holds no answer."""
    variables = NOTHING | {"XDG_STATE_HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)} | environment
    file = folder / "new" / "bridge.yaml"

    def call() -> Done:
        return run("init", "-c", file, *arguments, stdin=stdin.encode(), **variables)

    return await asyncio.to_thread(call)


def answers(sound: Installation, secret: str = SECRET) -> str:
    broker = f"mqtt://127.0.0.1:{sound.broker.port}"
    said = (sound.relay.socket_url, KEY, secret, "doorbell", broker, "bridge", CANARY, sound.service.url)
    return "".join(f"{one}\n" for one in said)


def options(sound: Installation) -> list[str]:
    broker = f"mqtt://127.0.0.1:{sound.broker.port}"
    return ["--yes", "--relay", sound.relay.socket_url, "--broker", broker, "--username", "bridge"]


GIVEN = {"RELAY_KEY": KEY, "RELAY_SECRET": SECRET, "MQTT_PASSWORD": CANARY}


async def test_a_dialogue_ends_with_an_installation_that_runs(tmp_path: Path) -> None:
    file = tmp_path / "new" / "bridge.yaml"
    async with installation(tmp_path) as sound, listener(sound.broker, "webhooks/#") as seen:
        done = await init(tmp_path, stdin=answers(sound))
        assert done.status == 0, done.out + done.err
        assert done.out.endswith("\nnothing is wrong\n")
        assert "✓ relay-credentials" in done.out
        assert "✓ broker-credentials" in done.out
        assert f"next: relay-bridge run -c {file}" in done.err
        for secret in (SECRET, CANARY):
            assert secret not in done.out + done.err + file.read_text()
        checked = await asyncio.to_thread(run, "check", "-c", file)
        assert (checked.status, checked.out) == (0, "no problems\n")
        with tempfile.TemporaryDirectory() as runtime:
            async with running(tmp_path, "run", "-c", file, XDG_RUNTIME_DIR=runtime), sender() as session:
                await eventually(lambda: sound.relay.subscribers == 1, 20.0)
                await post(session, sound.relay.webhook_url("doorbell"), b'{"door": "front"}')
                [message] = await seen.wait(1)
    assert (message.topic, message.payload) == ("webhooks/doorbell", b'{"door": "front"}')


async def test_options_and_the_environment_answer_everything(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        done = await init(tmp_path, *options(sound), **GIVEN)
        again = await init(tmp_path, *options(sound), **GIVEN)
        text = (tmp_path / "new" / "bridge.yaml").read_text()
        forced = await init(tmp_path, *options(sound), "--bucket", "doorbell", "--force", **GIVEN)
    assert done.status == 0, done.out + done.err
    assert again.status == 1
    assert "is there already; --force replaces it" in again.err
    assert forced.status == 0
    assert (tmp_path / "new" / "bridge.yaml.old").read_text() == text
    assert "doorbell" in (tmp_path / "new" / "bridge.yaml").read_text()


async def test_what_does_not_answer_is_named_with_its_remedy(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        done = await init(tmp_path, stdin=answers(sound, secret="wr0ng-canary"))
    assert done.status == 1
    assert "✗ relay-credentials" in done.out
    assert "compare `relay.key` and `relay.secret`" in done.out
    assert "1 to mend" in done.out
    assert "wr0ng-canary" not in done.out + done.err


async def test_an_answer_that_can_not_be_used_is_asked_for_again(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        first, rest = answers(sound).split("\n", 1)
        done = await init(tmp_path, stdin=f"relay.example\n{first}\n{rest}")
    assert done.status == 0, done.out + done.err
    assert done.err.count("The relay's socket") == 2
    assert "wss://" in done.err


@pytest.mark.parametrize("lines", [0, 2, 5])
async def test_a_dialogue_that_is_left_writes_nothing(lines: int, tmp_path: Path) -> None:
    said = ["", KEY, SECRET, "doorbell", "", ""]
    done = await init(tmp_path, stdin="".join(f"{one}\n" for one in said[:lines]))
    assert done.status == 1
    assert "Aborted" in done.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--yes"], {}, "set RELAY_KEY and RELAY_SECRET, or RELAY_API_KEY"),
        (["--yes"], {"RELAY_KEY": "k"}, "set the environment variable RELAY_SECRET"),
        (["--yes", "--username", "u"], {"RELAY_API_KEY": "a"}, "set the environment variable MQTT_PASSWORD"),
        (["--yes", "--broker", "none"], {"RELAY_API_KEY": "a"}, "webhooks go nowhere"),
        (["--yes", "--relay", "http://x"], {"RELAY_API_KEY": "a"}, "wss://"),
    ],
)
async def test_what_is_missing_or_wrong_without_a_dialogue(
    arguments: list[str], environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = await init(tmp_path, *arguments, **environment)
    assert done.status == 2
    assert said in done.err
    assert not (tmp_path / "new").exists()
