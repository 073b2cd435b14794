"""`relay-bridge relay`: the self-hosted relay."""

import asyncio
import logging
import signal
from pathlib import Path

import click

from bridge.errors import BridgeError
from bridge.logs import set_up_logging
from bridge.selfhosted.resources import Settings
from bridge.selfhosted.server import SelfHostedRelay
from bridge.selfhosted.settings import read_settings

log = logging.getLogger(__name__)


class ListenFailed(BridgeError):
    """The address can't be listened on."""


@click.command("relay")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/relay-bridge/relay.yaml"),
    show_default=True,
    help="The relay's settings file.",
)
@click.option("--listen", metavar="HOST:PORT", help="Listen here, instead of where the file says.")
def command(config: Path, listen: str | None) -> None:
    """Run the self-hosted relay until it is told to stop."""
    set_up_logging("info")
    host, port = _address(listen)
    asyncio.run(_serve(read_settings(config), host, port))


def _address(listen: str | None) -> tuple[str | None, int | None]:
    if listen is None:
        return None, None
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter("HOST:PORT is expected, such as 127.0.0.1:8080", param_hint="--listen")
    return host.strip("[]"), int(port)


async def _serve(settings: Settings, host: str | None, port: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    relay = SelfHostedRelay(settings, host=host, port=port)
    try:
        await relay.start()
    except OSError as error:
        raise ListenFailed(f"cannot listen: {error.strerror}") from error
    for bucket in settings.buckets:
        for entry in bucket.inputs:
            log.info("bucket %s: %s/v1/webhooks/%s", bucket.name, relay.url, entry.id)
    await stop.wait()
    await relay.close()
