"""The harness of `make bench`: it must send, count and compare rightly. No figure is asserted."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bridge.relay.client import RelayClient
from bridge.webhook import Webhook
from tests.bench import rig as rigs
from tests.bench import webhooks
from tests.bench.chart import svg
from tests.bench.contenders.bridge import Bridge
from tests.bench.contenders.ceiling import Ceiling
from tests.bench.contenders.scripts import PythonScript
from tests.bench.load import Load
from tests.bench.measures import MEASURES, saturated
from tests.bench.report import BEGIN, END, inserted, markdown
from tests.bench.results import Results, Sample
from tests.bench.tally import Tally


@pytest.fixture
def broker() -> Iterator[socket.socket]:
    """A listener in the place of a broker."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def load(broker: socket.socket) -> Iterator[Load]:
    load = Load(broker.getsockname()[1], keep=True)
    yield load
    load.close()


def delivered(number: int, stamp: int = 0) -> bytes:
    """The body of a webhook as a contender hands it on."""
    body = webhooks.body().replace("@" * 20, f"{number:020}").replace("#" * 20, f"{stamp:020}")
    return body.encode()


def publish(number: int) -> bytes:
    """A QoS 1 PUBLISH packet."""
    content = b"\x00\x04ci/x" + number.to_bytes(2) + delivered(number)
    return bytes((0x32, len(content) & 0x7F | 0x80, len(content) >> 7)) + content


async def test_our_client_takes_the_generators_webhooks(load: Load) -> None:
    taken = threading.Event()

    def serve() -> None:
        assert load.wait(lambda: load.relay.subscriber is not None, 10)
        load.burst(3, 10)
        load.wait(taken.is_set, 10)

    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(serve))
        async with RelayClient(key="bench", secret="bench", url=load.relay.url) as client:
            found: list[Webhook] = [await anext(client) for _ in range(3)]
        taken.set()
    assert [webhooks.read_mark(one.raw)[0] for one in found] == [0, 1, 2]
    assert len({one.id for one in found}) == 3
    assert {len(one.raw) for one in found} == {webhooks.BODY_BYTES}
    assert found[0].header("X-GitHub-Event") == "push"


@pytest.mark.parametrize("cut", [1, 2, 30, 1000, 1060, 1100])
def test_the_subscriber_counts_and_acknowledges_packets_wherever_they_are_cut(
    load: Load, broker: socket.socket, cut: int
) -> None:
    load.tally.send(2)
    load.subscriber.connect()
    connection, _ = broker.accept()
    with connection:
        connection.sendall(b"\x20\x02\x00\x00\x90\x03\x00\x01\x01")
        assert load.wait(lambda: load.subscriber.ready, 5)
        connection.recv(1000)
        packets = publish(0) + publish(1)
        connection.sendall(packets[:cut])
        load.turn(1)
        connection.sendall(packets[cut:])
        assert load.wait(lambda: load.tally.seen == 2, 5)
        connection.settimeout(5)
        acknowledged = b""
        while len(acknowledged) < 8:
            acknowledged += connection.recv(8)
        assert acknowledged == b"\x40\x02\x00\x00\x40\x02\x00\x01"


def test_the_http_server_counts_and_answers(load: Load) -> None:
    load.tally.send(2)
    statuses = []

    def post() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", load.sink.port, timeout=5)
        for number in range(2):
            connection.request("POST", "/ci/x/push", delivered(number))
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()

    poster = threading.Thread(target=post)
    poster.start()
    load.wait(lambda: not poster.is_alive(), 5)
    poster.join()
    assert statuses == [200, 200]
    assert load.tally.seen == 2


def test_a_pace_is_kept_and_counted_from_its_start(load: Load) -> None:
    load.pace(1000, 0.05)
    assert load.tally.sent == 50
    assert load.tally.outstanding == 50


def test_a_lost_and_a_repeated_webhook_do_not_cancel_out() -> None:
    tally = Tally()
    tally.send(3)
    for number in (0, 2, 2):
        tally.arrived(delivered(number, 1000), 5000)
    assert (tally.outstanding, tally.repeated, list(tally.latencies)) == (1, 1, [4000, 4000])


def test_what_was_sent_before_a_restart_is_not_looked_at() -> None:
    tally = Tally()
    tally.send(2)
    tally.restart()
    first = tally.send(1)
    tally.arrived(delivered(1), 1)
    assert tally.seen == 0
    tally.arrived(delivered(first), 1)
    assert (tally.seen, tally.outstanding, tally.repeated) == (1, 0, 0)


def test_a_body_that_was_changed_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a webhook of this benchmark"):
        Tally().arrived(b"{}", 0)


def test_a_contender_is_measured_from_its_start_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rigs, "RUNS", tmp_path)
    with rigs.rig(Ceiling(), None) as rig:
        rig.load.saturate(0.2, 100)
        rig.load.drain(5)
        assert rig.load.tally.seen == rig.load.tally.sent > 100
        assert rig.process.cpu() > 0
        assert rig.process.memory().rss >= rig.process.memory().pss > 1_000_000
    assert rig.process.ended


def test_a_contender_that_ends_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rigs, "RUNS", tmp_path)
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    with pytest.raises(rigs.ContenderFailed, match="PYTHONHOME"), rigs.rig(Ceiling(), None):
        pytest.fail("it can't have subscribed")


@pytest.fixture
def results() -> Results:
    measure = saturated.DEEP
    results = Results({"processor": "one"}, [Bridge(), PythonScript()], [measure])
    rest = dict.fromkeys((metric.key for metric in measure.metrics), 0.0)
    for number, rate in enumerate((9000.0, 8000.0, 1.0), start=1):
        results.samples.append(Sample(number, measure.name, "bridge", rest | {"rate": rate, "cpu": 50.0}))
    results.samples.append(Sample(1, measure.name, "python", rest | {"rate": 4000.0, "cpu": 100.0}))
    results.samples.append(Sample(2, measure.name, "python", failure="it ended: no reason"))
    return results


def test_ratios_say_how_many_times_better_the_bridge_is(results: Results) -> None:
    measure = saturated.DEEP
    rate, cpu = measure.metrics[:2]
    python = results.contenders[1]
    assert results.median(measure, rate, results.contenders[0]) == 8000
    assert results.ratio(measure, rate, python) == 2
    assert results.ratio(measure, cpu, python) == 2


def test_the_report_holds_medians_ratios_and_failures(results: Results) -> None:
    text = markdown(results)
    assert "| 8,000 | 4,000 (2.00 x) |" in text
    assert "failed: python, saturated, round 2: it ended: no reason" in text
    document = f"before\n{BEGIN}\nold\n{END}\nafter"
    assert inserted(document, text) == f"before\n{BEGIN}\n\n{text}\n{END}\nafter"


def test_the_chart_is_well_formed_and_draws_to_scale(results: Results) -> None:
    chart = ET.fromstring(svg(results))  # noqa: S314  # our own
    bars = [bar for bar in chart.iter("{http://www.w3.org/2000/svg}rect") if bar.get("class")]
    ours, theirs = (float(bar.attrib["width"]) for bar in bars[:2])
    assert ours == pytest.approx(2 * theirs)


def test_every_metric_is_named_once() -> None:
    titles = [metric.title for measure in MEASURES for metric in measure.metrics]
    assert len(titles) == len(set(titles))
