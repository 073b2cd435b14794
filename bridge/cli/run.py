"""`relay-bridge run`: the daemon."""

import asyncio
import faulthandler
import gc
import logging
import os
from pathlib import Path
from typing import NoReturn

import click

from bridge.cli.exits import tell
from bridge.cli.options import config_option
from bridge.errors import BridgeError
from bridge.folders import Folders, folders
from bridge.logs import LEVELS, set_up_logging


@click.command("run")
@config_option
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    show_default=True,
    help="What is logged.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it is logged; under systemd, text goes to the journal with fields.",
)
def command(config: Path, log_level: str, log_format: str) -> None:
    """Run the daemon until it is told to stop."""
    set_up_logging(log_level, log_format)
    run_daemon(config.absolute(), folders())


def run_daemon(config: Path, where: Folders) -> NoReturn:
    """Serve, then end the process without waiting for threads that hang in the resolver."""
    from bridge.daemon import serve

    # systemd's watchdog ends a stuck process with SIGABRT: this prints where it was stuck. Of other threads
    # it prints nothing: they go on meanwhile, and to look at their frames can crash.
    faulthandler.enable(all_threads=False)
    # A webhook is freed by its last reference: the collector would look at it time and again in vain.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    runner = asyncio.Runner()
    status = 0
    try:
        runner.run(serve(config, where))
    except (BridgeError, OSError) as error:
        status = tell(error)
    logging.shutdown()
    os._exit(status)
