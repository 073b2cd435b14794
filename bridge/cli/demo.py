"""`relay-bridge demo`: the whole chain on this machine."""

import asyncio
import signal
import sys
from collections.abc import Coroutine

import click

from bridge.demo.samples import DOORBELL, SAMPLES

ARRIVE_SECONDS = 20.0
SHOWN = 120


@click.command("demo")
@click.option("--once", is_flag=True, help="Exit when every sample came through: 0, or 1 where one did not.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The relay's port; 0: a free one.")
def command(once: bool, port: int) -> None:
    """Run relay, broker and bridge on this machine, and send sample webhooks through them."""
    try:
        missing = asyncio.run(_until_told_to_stop(show(once=once, port=port)))
    except asyncio.CancelledError:
        return
    for place in sorted(missing):
        click.echo(f"did not arrive: {place}", err=True)
    sys.exit(1 if missing else 0)


async def _until_told_to_stop(showing: Coroutine[None, None, set[str]]) -> set[str]:
    """Either signal ends the demo as a whole: the processes that it started, too."""
    task = asyncio.ensure_future(showing)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


async def show(*, once: bool, port: int) -> set[str]:
    """Send the samples and print what arrives; what did not arrive in time."""
    from bridge.demo.chain import Chain

    arrivals: asyncio.Queue[str] = asyncio.Queue()

    def tell(place: str, payload: bytes) -> None:
        click.echo(f"  -> {place}  {_shown(payload)}")
        arrivals.put_nowait(place)

    async with Chain(tell, port) as chain:
        broker = f"{chain.broker.name} 127.0.0.1:{chain.broker.port}"
        click.echo(f"relay {chain.relay.url}   broker {broker}   page {chain.page}")
        missing: set[str] = set()
        for sample in SAMPLES:
            click.echo(f"{sample.title}: POST {chain.relay.webhook_url(sample.bucket)}")
            await chain.post(sample)
            missing |= await _await_all(set(sample.arrives), arrivals)
        if not once and not missing:
            click.echo("\nTry it from another terminal (Ctrl-C ends the demo):")
            url = chain.relay.webhook_url(DOORBELL.bucket)
            click.echo(f"  curl -H 'Content-Type: application/json' -d '{DOORBELL.body}' {url}\n")
            await asyncio.Event().wait()
    return missing


async def _await_all(expected: set[str], arrivals: asyncio.Queue[str]) -> set[str]:
    try:
        async with asyncio.timeout(ARRIVE_SECONDS):
            while expected:
                expected.discard(await arrivals.get())
    except TimeoutError:
        return expected
    return set()


def _shown(payload: bytes) -> str:
    """A payload on one line, with nothing that could steer a terminal."""
    text = payload.decode("utf-8", "replace")
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
