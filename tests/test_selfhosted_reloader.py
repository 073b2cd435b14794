"""A relay that runs takes up what changes on the disk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.secret import Secret
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.reloader import Reloader
from bridge.selfhosted.resources import Token
from bridge.selfhosted.server import SelfHostedRelay
from bridge.selfhosted.settings import read_settings
from bridge.selfhosted.shelf import Shelf
from tests.support.relay_clients import interface, subscribed
from tests.support.waiting import eventually

TEXT = "state: {state}\ntokens: {{pi: {secret}}}\nbuckets: {{{buckets}}}\n"


class Place:
    """A settings file and a state folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "relay.yaml"
        self.state = folder / "state"
        self.write("a: ")

    def write(self, buckets: str, secret: str = "s3cr3t") -> None:
        self.file.write_text(TEXT.format(state=self.state, buckets=buckets, secret=secret))


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(name="relay")
async def _relay(place: Place) -> AsyncIterator[SelfHostedRelay]:
    settings = read_settings(place.file)
    relay = SelfHostedRelay(settings, port=0)
    await relay.start()
    reloader = Reloader(relay, place.file, settings.state)
    yield relay
    reloader.close()
    await relay.close()


def names(relay: SelfHostedRelay) -> list[str]:
    return [one.name for one in relay.registry.catalog.buckets]


async def test_a_file_that_changed_is_used_and_a_broken_one_is_not(
    relay: SelfHostedRelay, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.write("a: , b: ")
    await eventually(lambda: names(relay) == ["a", "b"])
    place.write("a: , b: , a: ")
    await eventually(lambda: "is there twice" in caplog.text)
    assert names(relay) == ["a", "b"]
    place.write("b: ", secret="other")
    await eventually(lambda: names(relay) == ["b"])
    for secret, status in (("s3cr3t", 401), ("other", 200)):
        async with interface(relay, Token("pi", Secret(secret))) as http, http.get("/v1/buckets") as answer:
            assert answer.status == status


async def test_a_secret_that_changed_is_used(relay: SelfHostedRelay, place: Place) -> None:
    place.write("a: ", secret="other")
    await eventually(lambda: relay.registry.catalog.declared_tokens[0].secret == Secret("other"))


async def test_what_another_process_made_is_used(relay: SelfHostedRelay, place: Place) -> None:
    other = Registry([], [], Shelf(place.state))
    token, secret = other.create_token({})
    other.create_bucket({"name": "made"})
    await eventually(lambda: names(relay) == ["a", "made"])
    client = await subscribed(relay, ["made"], Token(token.key, Secret(secret)))
    await client.close()


async def test_what_needs_a_restart_is_said(
    relay: SelfHostedRelay, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.file.write_text(place.file.read_text() + "limits: {body: 1KiB}\n")
    await eventually(lambda: "started again" in caplog.text)
    assert names(relay) == ["a"]
