"""The bridge as the tests run it: none is left behind."""

import asyncio
from pathlib import Path

import pytest

from tests.support.mosquitto import free_port
from tests.support.process import BridgeProcess
from tests.support.waiting import eventually

ROUTING = """\
relay: {{url: "ws://127.0.0.1:{port}/", key: the-key, secret: a-secret}}
brokers: {{home: {{url: "mqtt://127.0.0.1:{port}"}}}}
routes: [{{name: all, match: {{bucket: a}}, send: [{{mqtt: a}}]}}]
"""


async def test_one_that_never_comes_up_is_ended(tmp_path: Path) -> None:
    bridge = BridgeProcess(tmp_path, ROUTING.format(port=free_port()))

    async def forever() -> None:
        async with bridge:
            pytest.fail("nobody is there to subscribe to")

    starting = asyncio.create_task(forever())
    await eventually(lambda: "is in use" in bridge.log_text(), 60)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert bridge.returncode is not None
