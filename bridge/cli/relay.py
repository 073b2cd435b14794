"""`relay-bridge relay`: the self-hosted relay, and what it serves."""

import asyncio
import logging
import signal
from pathlib import Path

import click

from bridge.cli.relay_resources import COMMANDS, RELAY_FILE
from bridge.errors import BridgeError, Fault
from bridge.logs import set_up_logging
from bridge.selfhosted.resources import Settings
from bridge.selfhosted.settings import parse_listen, read_settings

log = logging.getLogger(__name__)


class ListenFailed(BridgeError):
    """The address can't be listened on."""

    fault = Fault.SYSTEM


def _address(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[str | None, int | None]:
    try:
        return parse_listen(value) if value is not None else (None, None)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.group("relay", invoke_without_command=True)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=RELAY_FILE,
    show_default=True,
    help="The relay's settings file.",
)
@click.option(
    "--listen", metavar="HOST:PORT", callback=_address, help="Listen here, instead of where the file says."
)
@click.pass_context
def command(context: click.Context, config: Path, listen: tuple[str | None, int | None]) -> None:
    """Run the self-hosted relay until it is told to stop, or change what it serves."""
    context.obj = config
    if context.invoked_subcommand is None:
        set_up_logging("info")
        asyncio.run(_serve(config, read_settings(config), *listen))


for one in COMMANDS:
    command.add_command(one)


async def _serve(file: Path, settings: Settings, host: str | None, port: int | None) -> None:
    from bridge.selfhosted.reloader import Reloader
    from bridge.selfhosted.server import SelfHostedRelay

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    relay = SelfHostedRelay(settings, host=host, port=port)
    try:
        await relay.start()
    except OSError as error:
        raise ListenFailed(f"cannot listen: {error.strerror}") from error
    reloader = Reloader(relay, file, settings.state)
    for bucket in relay.registry.catalog.buckets:
        for entry in bucket.inputs:
            log.info("bucket %s: %s/v1/webhooks/%s", bucket.name, relay.public_url, entry.id)
    await stop.wait()
    reloader.close()
    await relay.close()
