"""The harness of `make growth`: layouts, webhooks, report and plot must be right. No figure is asserted."""

import asyncio
import re
import socket
import threading
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bridge.config.loader import load
from bridge.relay.client import RelayClient
from bridge.relay.frames import decode_frame
from bridge.webhook import Webhook
from tests.bench import rig as rigs
from tests.bench import webhooks
from tests.bench.contenders.base import Place
from tests.bench.growth.layout import Layout, Traffic
from tests.bench.growth.plot import LABEL, svg
from tests.bench.growth.report import MARKERS, markdown
from tests.bench.growth.results import Results, Sample
from tests.bench.growth.rounds import take
from tests.bench.growth.studies import NAMES, backlog, bodies, rates, reload, routes, studies
from tests.bench.growth.studies.base import Step, Study
from tests.bench.load import Load
from tests.bench.measures.base import Lengths
from tests.bench.report import inserted

ALL = studies(1_000_000)
LAYOUTS = list(dict.fromkeys(step.layout for study in ALL for step in study.steps))
SHORT = Lengths(warm_up=0.1, saturated=0.3, paced=0.6)
SVG = "{http://www.w3.org/2000/svg}"


def webhook(layout: Layout, number: int) -> Webhook:
    """One of a layout's webhooks, without the head of its WebSocket message."""
    message = Traffic(layout).batch(number, 1, 0)
    found = decode_frame(message[message.index(b"{") :].decode(), 0.0)
    assert isinstance(found, Webhook)
    return found


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_webhook_meets_its_own_route_alone(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(layout.routing(Place(tmp_path, "ws://127.0.0.1:1/v1/socket", 1883, None)))
    loaded = load(file)
    assert loaded.problems == (), loaded.report()
    assert loaded.config is not None
    table = loaded.config.table
    assert len(table.routes) == layout.routes
    assert len(table.buckets or ()) == layout.buckets
    for number in (0, layout.routes // 2, layout.routes - 1, 3 * layout.routes + 1):
        route = number % layout.routes
        routed = table.route(webhook(layout, number))
        assert routed.matched == (f"route-{route:05d}",)
        assert [plan.target for plan in routed.plans] == [f"mqtt:broker-{route % layout.targets}"]


def test_the_webhooks_walk_over_all_routes_and_buckets() -> None:
    layout = Layout(routes=20, buckets=5)
    found = [webhook(layout, number) for number in range(20)]
    assert len({one.header("X-Device") for one in found}) == 20
    assert len({one.bucket for one in found}) == len({one.bucket_id for one in found}) == 5
    assert len({one.id for one in found}) == 20
    assert [webhooks.read_mark(one.raw) for one in found] == [(number, 0) for number in range(20)]


@pytest.mark.parametrize("size", bodies.SIZES)
async def test_our_client_takes_bodies_of_every_size(size: int) -> None:
    taken = threading.Event()

    def serve(load: Load) -> None:
        assert load.wait(lambda: load.relay.subscriber is not None, 10)
        load.burst(2, 10)
        load.wait(taken.is_set, 10)

    with socket.create_server(("127.0.0.1", 0)) as broker:
        load = Load(broker.getsockname()[1], batch=Traffic(Layout(body=size)).batch)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.to_thread(serve, load))
                async with RelayClient(key="bench", secret="bench", url=load.relay.url) as client:
                    found = [await anext(client) for _ in range(2)]
                taken.set()
        finally:
            load.close()
    assert [len(one.raw) for one in found] == [size, size]
    assert [webhooks.read_mark(one.raw)[0] for one in found] == [0, 1]
    assert {one.json()["repository"]["name"] for one in found} == {"greenhouse"}


@pytest.mark.parametrize(
    ("study", "step"),
    [
        (routes.STUDY, Step("2 buckets", 6, Layout(routes=6, buckets=2, targets=2))),
        (backlog.study(1000), Step("", 200, Layout())),
        (reload.STUDY, Step("", 20, Layout(routes=20, buckets=2))),
    ],
    ids=["routes", "backlog", "reload"],
)
def test_a_step_is_taken(
    study: Study, step: Step, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rigs, "RUNS", tmp_path_factory.mktemp("g"))  # a socket's path must be short
    sample = take(1, study, step, SHORT, None)
    assert not sample.failure
    assert set(sample.values) >= {metric.key for metric in study.metrics}
    assert (sample.values["lost"], sample.values["repeated"]) == (0, 0)
    assert all(sample.values[key] > 0 for key in study.plotted)


def test_a_reload_that_is_refused_is_a_failure(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rigs, "RUNS", tmp_path_factory.mktemp("g"))
    monkeypatch.setattr(reload, "FOLDER", "nowhere")  # so that nothing in the file changes
    sample = take(1, reload.STUDY, Step("", 20, Layout(routes=20)), SHORT, None)
    assert "unchanged" in sample.failure


def test_no_more_is_outstanding_than_is_handed_on_soon() -> None:
    assert Layout().outstanding == Layout(routes=10_000, buckets=1_000).outstanding == 100
    assert Layout(routes=1_000, prefixes=True).outstanding == 20
    assert Layout(body=100 * 1024).outstanding == 40
    assert Layout(routes=10_000, prefixes=True).outstanding == Layout(body=3 * 1024 * 1024).outstanding == 4


def test_a_backlog_is_bounded_and_studies_go_by_their_names() -> None:
    assert tuple(study.name for study in ALL) == NAMES
    assert [step.x for step in backlog.study(10_000).steps] == [1_000, 10_000]


@pytest.fixture
def results() -> Results:
    """Three rounds of everything; the figures grow with x, and the middle round is twice the first."""
    results = Results({"processor": "one"}, ALL)
    for number, factor in enumerate((1.0, 2.0, 90.0), start=1):
        for study in ALL:
            for step in study.steps:
                values = {metric.key: factor * (step.x % 997) for metric in study.metrics}
                results.samples.append(Sample(number, study.name, step.line, step.x, values))
    return results


def test_the_plot_has_a_point_for_each_step_and_its_value(results: Results) -> None:
    plot = ET.fromstring(svg(results))  # noqa: S314  # our own
    points = [one for study in ALL for _ in study.plotted for one in study.steps]
    assert len(list(plot.iter(f"{SVG}circle"))) == len(points)
    values = [one.text for one in plot.iter(f"{SVG}text") if "value" in one.get("class", "")]
    assert len(values) == len(points)
    width = float(plot.attrib["viewBox"].split()[2])
    assert all(0 < float(one.attrib["cx"]) < width for one in plot.iter(f"{SVG}circle"))


def test_lines_are_drawn_to_scale() -> None:
    results = Results({}, [backlog.study(100_000)])
    for step, rate in zip(results.studies[0].steps, (100.0, 50.0, 100.0), strict=True):
        values = {"rate": rate}
        results.samples.append(Sample(1, "backlog", step.line, step.x, values | {"pss": 1.0}))
    plot = ET.fromstring(svg(results))  # noqa: S314  # our own
    line = next(plot.iter(f"{SVG}polyline")).attrib["points"]
    (x0, y0), (x1, y1), (x2, y2) = (map(float, corner.split(",")) for corner in line.split())
    axis = next(one.attrib["d"] for one in plot.iter(f"{SVG}path") if one.get("class") == "axis")
    bottom = float(re.findall(r"[\d.]+", axis)[1])
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 == y2
    assert bottom - y1 == pytest.approx((bottom - y0) / 2, abs=0.2)


def test_values_of_points_in_one_place_stand_above_each_other() -> None:
    results = Results({}, [routes.STUDY])
    for step in routes.STUDY.steps:
        results.samples.append(Sample(1, "routes", step.line, step.x, {"rate": 5000.0, "cpu": 100.0}))
    plot = ET.fromstring(svg(results))  # noqa: S314  # our own
    texts = [
        one for one in plot.iter(f"{SVG}text") if one.text == "5,000" and "value" in one.get("class", "")
    ]
    last = max(float(one.attrib["x"]) for one in texts)
    heights = sorted(float(one.attrib["y"]) for one in texts if float(one.attrib["x"]) == last)
    assert [high - low for low, high in pairwise(heights)] == [LABEL] * 3


def test_a_step_that_failed_is_told_and_leaves_its_place_empty() -> None:
    results = Results({}, [bodies.STUDY])
    first, *others = bodies.STUDY.steps
    results.samples.append(Sample(1, "bodies", first.line, first.x, failure="it ended: no reason\nat all"))
    values = {metric.key: 5.0 for metric in bodies.STUDY.metrics}
    results.samples.extend(Sample(1, "bodies", one.line, one.x, values) for one in others)
    text = markdown(results)
    assert "| 100 B | - | - | - | - | - | - |" in text
    assert "- failed: bodies, 100 B, round 1: it ended: no reason\n" in text
    plot = ET.fromstring(svg(results))  # noqa: S314  # our own
    assert len(list(plot.iter(f"{SVG}circle"))) == 2 * len(others)


def test_what_large_steps_keep_of_small_ones_rates_is_told() -> None:
    results = Results({}, [routes.STUDY])
    for step, rate in ((("1 bucket", 10), 1000.0), (routes.LARGEST, 850.0)):
        values = {metric.key: rate for metric in routes.STUDY.metrics}
        results.samples.append(Sample(1, "routes", *step, values))
    text = markdown(results)
    assert "of 10 routes over 1 bucket: 85% of the webhooks per second (at least 90% is wanted)" in text
    assert "over 10 buckets:" not in text  # that was not taken


def test_medians_are_reported_and_inserted_where_the_page_has_their_place(results: Results) -> None:
    text = markdown(results)
    assert "| 10, 1 bucket | 20 | 20 | 20.0 | 20 | 20 |" in text
    assert "Medians of 3 rounds." in text
    page = (Path(__file__).parent.parent / "docs" / "performance.md").read_text()
    published = inserted(page, text, MARKERS)
    assert text in published
    before, begin, _ = page.partition(MARKERS[0])
    assert published.startswith(before + begin)
    assert published.endswith(page.partition(MARKERS[1])[2])
    assert rates.RATE.title in published
