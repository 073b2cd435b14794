"""The demo: its samples fit its routing file, and the whole chain delivers them."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from bridge.config.loader import load
from bridge.demo.broker import BrokerMissing, DemoBroker
from bridge.demo.chain import ROUTES
from bridge.demo.samples import SAMPLES, Sample
from bridge.message import HttpRequest
from tests.support.cli import run, running
from tests.support.deliveries import webhook
from tests.support.relays import post, sender

ENVIRONMENT = {
    "DEMO_RELAY": "ws://127.0.0.1:1/v1/socket",
    "DEMO_SECRET": "secret",
    "DEMO_BROKER": "mqtt://127.0.0.1:1",
    "DEMO_SERVICE": "http://127.0.0.1:1",
}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.title)
def test_a_sample_goes_where_the_routing_file_sends_it(sample: Sample) -> None:
    loaded = load(ROUTES, environment=ENVIRONMENT)
    assert loaded.config is not None, loaded.report()
    assert loaded.problems == ()
    headers = {
        name.lower(): (value,) for name, value in (("Content-Type", sample.content_type), *sample.headers)
    }
    routed = loaded.config.table.route(webhook(sample.body.encode(), bucket=sample.bucket, headers=headers))
    places = []
    for plan in routed.plans:
        assert plan.message is not None, plan.error
        message = plan.message
        places.append(
            f"http {message.url.removeprefix(ENVIRONMENT['DEMO_SERVICE'])}"
            if isinstance(message, HttpRequest)
            else f"mqtt {message.topic}"
        )
    assert sorted(places) == sorted(sample.arrives)


def test_once_shows_every_sample_and_ends_well() -> None:
    done = run("demo", "--once")
    assert (done.status, done.err) == (0, "")
    for sample in SAMPLES:
        assert sample.title in done.out
        for place in sample.arrives:
            assert f"  -> {place}  " in done.out
    assert "curl" not in done.out


async def test_the_curl_line_works_and_a_signal_ends_everything(tmp_path: Path) -> None:
    async with running(tmp_path, "demo") as demo, sender() as session:
        text = await demo.says("  curl ")
        ports = re.findall(r"127\.0\.0\.1:(\d+)", text.splitlines()[0])
        url = re.search(r"curl .* (http://\S+)", text)
        assert url, text
        page = re.search(r"page (http://\S+)", text)
        assert page, text
        async with session.get(page[1]) as response:
            assert "<title>Relay Bridge</title>" in await response.text()
        before = text.count("-> mqtt home/doorbell/back/ring")
        await post(session, url[1], b'{"event": "ring", "door": "back"}')
        text = await demo.says("-> mqtt home/doorbell/back/ring")
        assert text.count("-> mqtt home/doorbell/back/ring") == before + 1
        assert await demo.stop(signal.SIGTERM) == 0
        assert "Traceback" not in demo.text
        assert "WARNING" not in demo.text
    for port in ports:
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", int(port))


async def test_without_a_broker_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    monkeypatch.setattr("bridge.demo.broker.SBIN", os.fspath(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BrokerMissing, match="apt install mosquitto"):
        await DemoBroker(tmp_path).start()


async def test_a_broker_that_ends_at_once_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "mosquitto"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BrokerMissing, match="ended with exit status 3"):
        await DemoBroker(tmp_path).start()
