"""`relay-bridge run`: the daemon."""

import asyncio
import faulthandler
import logging
import os
import sys
from pathlib import Path

import click

from bridge.cli.options import config_option
from bridge.daemon import serve
from bridge.folders import Folders, folders
from bridge.logs import set_up_logging


@click.command("run")
@config_option
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What is logged.",
)
def command(config: Path, log_level: str) -> None:
    """Run the daemon until it is told to stop."""
    set_up_logging(log_level)
    run_daemon(config.absolute(), folders())


def run_daemon(config: Path, where: Folders) -> None:
    """Serve, then end the process without waiting for threads that hang in the resolver.

    Raises:
        BridgeError: it could not start.
    """
    # systemd's watchdog ends a stuck process with SIGABRT: this prints where it was stuck.
    faulthandler.enable()
    with asyncio.Runner() as runner:
        runner.run(serve(config, where))
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
