"""The subscription follows its settings, at a real relay."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bridge.config.model import RelaySettings
from bridge.errors import ConfigError
from bridge.relay.link import RelayLink
from bridge.secret import Secret
from bridge.selfhosted.server import SelfHostedRelay
from bridge.webhook import Webhook
from tests.support.relays import KEY, SECRET, post, running_relay, sender
from tests.support.waiting import eventually


class Rig:
    """A link, and what came by it."""

    def __init__(self, relay: SelfHostedRelay, overlap: float) -> None:
        self.relay = relay
        self.bodies: list[str] = []
        self.failures: list[BaseException] = []
        self.link = RelayLink(self._take, self.failures.append, overlap=overlap)
        self.settings = RelaySettings(relay.socket_url, KEY, Secret(SECRET), ("doorbell",))

    def _take(self, webhook: Webhook) -> None:
        if webhook.text == "bug":
            raise ZeroDivisionError("a bug")
        self.bodies.append(webhook.text)

    @property
    def state(self) -> str:
        state = self.link.state()
        return "" if state is None else state.name

    async def use(self, settings: RelaySettings, becomes: str = "subscribed") -> None:
        self.link.use(settings)
        await eventually(lambda: self.state == becomes)

    async def one_subscriber(self) -> None:
        await eventually(lambda: self.relay.subscribers == 1)


@asynccontextmanager
async def linked(*buckets: str, overlap: float = 10.0) -> AsyncIterator[Rig]:
    before = asyncio.all_tasks()
    async with running_relay(*(buckets or ("doorbell", "meter"))) as relay:
        rig = Rig(relay, overlap)
        try:
            yield rig
        finally:
            await rig.link.close()
            await eventually(lambda: relay.subscribers == 0)
    left = {task.get_name() for task in asyncio.all_tasks() - before if task.get_name().startswith("relay")}
    assert not left


async def test_before_the_first_settings_there_is_no_client() -> None:
    async with linked() as rig:
        assert rig.link.client is None
        assert rig.link.state() is None


async def test_the_same_settings_keep_the_connection() -> None:
    async with linked() as rig:
        await rig.use(rig.settings)
        client = rig.link.client
        rig.link.use(replace(rig.settings, secret=Secret(SECRET)))
        assert rig.link.client is client
        assert rig.state == "subscribed"


async def test_a_change_of_buckets_loses_nothing() -> None:
    async with linked() as rig, sender() as session:
        await rig.use(rig.settings)
        sent: list[str] = []

        async def send() -> None:
            while len(sent) < 200:
                body = str(len(sent))
                sent.append(body)
                assert await post(session, rig.relay.webhook_url("doorbell"), body.encode()) == 200

        async def twenty_more() -> None:
            goal = len(sent) + 20
            await eventually(lambda: len(sent) >= goal)

        sending = asyncio.create_task(send())
        for buckets in [("doorbell", "meter"), ("doorbell",), None]:
            await twenty_more()
            await rig.use(replace(rig.settings, buckets=buckets))
            await rig.one_subscriber()
        await sending
        await eventually(lambda: set(rig.bodies) == set(sent))
        await post(session, rig.relay.webhook_url("meter"), b"of the new bucket")
        await eventually(lambda: rig.bodies[-1] == "of the new bucket")


async def test_a_change_of_group_connects_anew() -> None:
    async with linked() as rig, sender() as session:
        await rig.use(rig.settings)
        client = rig.link.client
        await rig.use(replace(rig.settings, group="workers", ack=True))
        await rig.one_subscriber()
        assert rig.link.client is not client
        for body in (b"1", b"2"):
            assert await post(session, rig.relay.webhook_url("doorbell"), body) == 200
        await eventually(lambda: sorted(rig.bodies) == ["1", "2"])


async def test_the_old_subscription_serves_until_the_new_one_does() -> None:
    async with linked() as rig, sender() as session:
        await rig.use(rig.settings)
        await rig.use(replace(rig.settings, secret=Secret("wrong")), becomes="unauthorized")
        await post(session, rig.relay.webhook_url("doorbell"), b"meanwhile")
        await eventually(lambda: rig.bodies == ["meanwhile"])


async def test_the_old_subscription_does_not_serve_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async with linked(overlap=0.05) as rig:
        await rig.use(rig.settings)
        with caplog.at_level(logging.WARNING, "bridge.relay.link"):
            await rig.use(replace(rig.settings, secret=Secret("wrong")), becomes="unauthorized")
            await eventually(lambda: rig.relay.subscribers == 0)
        assert "the new subscription is not there" in caplog.text


async def test_mended_credentials_are_used_at_once() -> None:
    async with linked() as rig:
        await rig.use(replace(rig.settings, secret=Secret("wrong")), becomes="unauthorized")
        await rig.use(rig.settings)


async def test_after_many_changes_one_subscription_is_left(caplog: pytest.LogCaptureFixture) -> None:
    async with linked() as rig:
        with caplog.at_level(logging.WARNING):
            await rig.use(rig.settings)
            for n in range(8):
                rig.link.use(replace(rig.settings, buckets=("doorbell", "meter")[: 1 + (n + 1) % 2]))
                await asyncio.sleep(0)
            await eventually(lambda: rig.state == "subscribed")
            await rig.one_subscriber()
        assert not caplog.records


async def test_settings_that_can_not_be_used_change_nothing() -> None:
    async with linked() as rig:
        await rig.use(rig.settings)
        wrong = replace(rig.settings, url="http://127.0.0.1/")
        for _ in range(2):
            with pytest.raises(ConfigError):
                rig.link.use(wrong)
        assert rig.state == "subscribed"


async def test_hold_and_release() -> None:
    async with linked() as rig:
        await rig.use(rig.settings)
        rig.link.hold("no room")
        await eventually(lambda: rig.state == "held")
        await eventually(lambda: rig.relay.subscribers == 0)
        await rig.use(replace(rig.settings, buckets=None), becomes="held")
        assert rig.relay.subscribers == 0
        rig.link.release()
        await rig.one_subscriber()
        await eventually(lambda: rig.state == "subscribed")


async def test_a_bug_in_the_handler_is_loud() -> None:
    async with linked() as rig, sender() as session:
        await rig.use(rig.settings)
        await post(session, rig.relay.webhook_url("doorbell"), b"bug")
        await eventually(lambda: rig.failures)
        assert [type(failure) for failure in rig.failures] == [ZeroDivisionError]
