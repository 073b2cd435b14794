"""`relay-bridge forward`: one bucket to one target, at a real relay, broker and service."""

from pathlib import Path

import pytest

from bridge.cli.forward import own_folders, routing_text
from bridge.config.loader import load_text
from bridge.config.secrets import Secrets
from bridge.folders import Folders
from tests.support.cli import run, running
from tests.support.http import recording_server
from tests.support.mosquitto import Broker, Collector, free_port
from tests.support.relays import KEY, SECRET, post, running_relay, sender
from tests.support.waiting import eventually

CREDENTIALS = {"RELAY_KEY": KEY, "RELAY_SECRET": SECRET}


def text_of(
    bucket: str = "b", topic: str | None = None, url: str | None = None, broker: str = "mqtt://h"
) -> str:
    return routing_text(bucket=bucket, topic=topic, url=url, broker=broker, relay="ws://r/")


@pytest.mark.parametrize("odd", ["a b", "it's", '"quoted"', "yes", "5", "ü", "a: b # c"])
def test_what_the_command_line_says_stays_as_it_is(odd: str) -> None:
    loaded = load_text(text_of(odd, topic="home/ring"), secrets=Secrets(environment=CREDENTIALS))
    assert loaded.config is not None, loaded.report()
    assert loaded.config.table.buckets == frozenset({odd})


def test_every_forward_has_folders_of_its_own_and_finds_them_again() -> None:
    where = Folders(Path("/state"), Path("/run"))
    texts = [
        text_of(topic="a b"),
        text_of(topic="a-b"),
        text_of(topic="a-b", broker="mqtt://other"),
        text_of(url="http://h/"),
    ]
    folders = [own_folders(where, text) for text in texts]
    assert len(set(folders)) == len(texts)
    assert own_folders(where, texts[0]) == folders[0]
    assert folders[0].state.parent == where.state
    assert folders[0].runtime.parent == where.runtime


async def test_to_a_broker(tmp_path: Path) -> None:
    async with (
        running_relay("doorbell") as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port) as seen,
        sender() as session,
    ):
        target = ("--mqtt", "home/{{ body.door }}", "--broker", f"mqtt://127.0.0.1:{broker.port}")
        arguments = ("forward", "--bucket", "doorbell", *target, "--relay", relay.socket_url)
        async with running(tmp_path, *arguments, **CREDENTIALS) as forwarding:
            await eventually(lambda: relay.subscribers == 1)
            await post(session, relay.webhook_url("doorbell"), b'{"door": "front"}')
            (message,) = await seen.wait(1)
            assert (message.topic, message.payload) == ("home/front", b'{"door": "front"}')
            assert await forwarding.stop() == 0
            assert SECRET not in forwarding.text


async def test_what_was_not_delivered_is_delivered_by_the_same_command_again(tmp_path: Path) -> None:
    port = free_port()
    async with running_relay("doorbell") as relay, sender() as session:
        target = ("--http", f"http://127.0.0.1:{port}/ring")
        arguments = ("forward", "--bucket", "doorbell", *target, "--relay", relay.socket_url)
        async with running(tmp_path, *arguments, **CREDENTIALS) as forwarding:
            await eventually(lambda: relay.subscribers == 1)
            await post(session, relay.webhook_url("doorbell"), b"first")
            await forwarding.says("refused")
            assert await forwarding.stop() == 0
        async with (
            recording_server(port=port) as service,
            running(tmp_path, *arguments, **CREDENTIALS) as forwarding,
        ):
            await eventually(lambda: [request.body for request in service.requests] == [b"first"])
            assert await forwarding.stop() == 0


def test_credentials_that_are_not_set_are_named(tmp_path: Path) -> None:
    done = run(
        *("forward", "--bucket", "doorbell", "--mqtt", "home/ring"),
        STATE_DIRECTORY=str(tmp_path),
        RELAY_KEY="",
        RELAY_SECRET="",
    )
    assert (done.status, done.out) == (78, "")
    for name in ("RELAY_KEY", "RELAY_SECRET"):
        assert f"the environment variable {name} is not set" in done.err


@pytest.mark.parametrize(
    ("option", "value"), [("--mqtt", "home/#"), ("--mqtt", "{{ body.x"), ("--http", "ftp://127.0.0.1/")]
)
def test_a_target_that_can_not_be_is_told(tmp_path: Path, option: str, value: str) -> None:
    done = run(
        "forward",
        "--bucket",
        "b",
        option,
        value,
        STATE_DIRECTORY=str(tmp_path),
        RELAY_KEY="k",
        RELAY_SECRET="s",
    )
    assert (done.status, done.out) == (78, "")
    assert "error[" in done.err
