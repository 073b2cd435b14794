"""`python -m tests.bench.fanout`: one self-hosted relay, many subscribers, each webhook to ten of them.

Prints what is lost, the relay's memory for each connection, and the time from the sender's request to the
subscriber's hands. Senders and subscribers run in this process, the relay in one of its own.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import click
import orjson

from tests.support.nats import NatsServer
from tests.support.waiting import eventually

FANOUT = 10
IDLE = 30.0
"""Seconds without webhooks: every connection is asked for a sign of life meanwhile."""
SECRET = "s3cr3t"


class Figures:
    """What came."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        """Seconds, of each frame that came."""


@asynccontextmanager
async def relay_process(folder: Path, buckets: int, place: str) -> AsyncIterator[tuple[int, str]]:
    """A relay's process ID and URL; `place` says in its settings where it keeps what comes."""
    file = folder / "relay.yaml"
    names = "".join(
        f"  b{number}: {{id: b{number}, inputs: {{i: {{id: i{number}}}}}}}\n" for number in range(buckets)
    )
    file.write_text(f"{place}tokens: {{pi: {SECRET}}}\nlimits: {{connections: 100000}}\nbuckets:\n{names}")
    command = [sys.executable, "-m", "bridge", "relay", "-c", str(file), "--listen", "127.0.0.1:0"]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        line = ""
        while not (found := re.search(r"relay listens on (\S+)", line)):
            line = (await process.stderr.readline()).decode()
        reading = asyncio.create_task(process.stderr.read())
        yield process.pid, found[1]
    finally:
        process.terminate()
        await process.wait()
        await reading


def memory(pid: int) -> int:
    """Bytes of a process that are its own and in memory."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE)) * 1024


def cpu(pid: int) -> float:
    """Seconds of a core that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def busy(what: str, processes: dict[str, int], seconds: float) -> Iterator[None]:
    """Print how much of a core processes use meanwhile."""
    before = {name: cpu(pid) for name, pid in processes.items()}
    yield
    for name, pid in processes.items():
        click.echo(f"{name}, {what}: {(cpu(pid) - before[name]) / seconds * 100:.1f} % of a core")


async def subscribe(http: aiohttp.ClientSession, url: str, bucket: int) -> aiohttp.ClientWebSocketResponse:
    """A subscriber of one bucket."""
    socket = await http.ws_connect(f"{url}/v1/socket", max_msg_size=0)
    await socket.send_json({"action": "auth", "key": "pi", "secret": SECRET})
    await socket.receive()
    await socket.send_json({"action": "subscribe", "buckets": [f"b{bucket}"]})
    await socket.receive()
    return socket


async def read(socket: aiohttp.ClientWebSocketResponse, figures: Figures) -> None:
    """Take webhooks until the connection ends."""
    async for message in socket:
        frame = orjson.loads(message.data)
        if frame["type"] == "webhook":
            sent_at = json.loads(frame["body"])["at"]
            figures.waits.append(time.monotonic() - sent_at)


async def send(http: aiohttp.ClientSession, url: str, *, rate: int, seconds: float, buckets: int) -> int:
    """Send webhooks evenly; how many."""
    began, count = time.monotonic(), int(rate * seconds)
    padding = "x" * 900
    running: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        body = orjson.dumps({"at": time.monotonic(), "padding": padding})
        async with http.post(f"{url}/v1/webhooks/i{number % buckets}", data=body) as answer:
            assert answer.status == 200

    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        task = asyncio.create_task(one(number))
        running.add(task)
        task.add_done_callback(running.discard)
    while running:
        await asyncio.wait(running)
    return count


async def measure(subscribers: int, rate: int, seconds: float, keep: str) -> None:
    """Take the figures and print them."""
    buckets, figures = subscribers // FANOUT, Figures()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = f"state: {folder}/state\n" if keep == "disk" else ""
        nats = await stack.enter_async_context(NatsServer(folder)) if keep == "nats" else None
        if nats is not None:
            place = f"engine: {{nats: '{nats.url}'}}\n"
        pid, url = await stack.enter_async_context(relay_process(folder, buckets, place))
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        await send(http, url, rate=100, seconds=0.5, buckets=buckets)
        before, nats_before = memory(pid), memory(nats.pid) if nats else 0
        sockets, began = [], time.monotonic()
        for start in range(0, subscribers, 50):  # a relay lets in 100 strangers at a time
            numbers = range(start, min(start + 50, subscribers))
            sockets += await asyncio.gather(*(subscribe(http, url, one % buckets) for one in numbers))
        click.echo(f"{subscribers / (time.monotonic() - began):.0f} connections a second")
        readers = [asyncio.create_task(read(one, figures)) for one in sockets]
        processes = {"relay": pid, **({"NATS": nats.pid} if nats else {})}
        with busy("idle", processes, IDLE):
            await asyncio.sleep(IDLE)
        each = (memory(pid) - before) / subscribers
        if nats is not None:
            click.echo(f"NATS: {(memory(nats.pid) - nats_before) / subscribers / 1024:.1f} KiB a connection")
        figures.waits.clear()  # what was sent before they came
        with busy("busy", processes, seconds):
            expected = FANOUT * await send(http, url, rate=rate, seconds=seconds, buckets=buckets)
        with suppress(AssertionError):  # what is lost is told
            await eventually(lambda: len(figures.waits) >= expected, 30, every=0.1)
        tell(figures, expected, each)
        for one in readers:
            one.cancel()
        await asyncio.wait(readers)


def tell(figures: Figures, expected: int, each: float) -> None:
    """Print the figures."""
    waits = sorted(figures.waits)
    click.echo(f"lost {expected - len(waits)} of {expected} frames; {each / 1024:.1f} KiB a connection")
    for share in (0.5, 0.99, 0.999):
        click.echo(f"p{share * 100:g} {waits[int(share * (len(waits) - 1))] * 1000:.1f} ms")


@click.command()
@click.option("--subscribers", type=click.IntRange(FANOUT), default=1000, show_default=True)
@click.option("--rate", type=click.IntRange(1), default=200, show_default=True, help="Webhooks per second.")
@click.option("--seconds", type=click.FloatRange(1), default=20.0, show_default=True)
@click.option(
    "--keep",
    type=click.Choice(["memory", "disk", "nats"]),
    default="disk",
    show_default=True,
    help="Where the relay keeps webhooks.",
)
def main(subscribers: int, rate: int, seconds: float, keep: str) -> None:
    """Fan webhooks out to subscribers, ten to each webhook."""
    asyncio.run(measure(subscribers, rate, seconds, keep))


if __name__ == "__main__":
    main()
