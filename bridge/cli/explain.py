"""`relay-bridge explain`: what a routing file does with webhooks, without doing it."""

from pathlib import Path
from typing import BinaryIO

import click

from bridge.cli.options import config_option, format_option


@click.command("explain")
@config_option
@click.argument("webhook", type=click.File("rb"), required=False)
@click.option(
    "--diff",
    "new",
    metavar="NEW",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Which webhooks that the running daemon still keeps would go elsewhere by the file NEW.",
)
@format_option
def command(config: Path, webhook: BinaryIO | None, new: Path | None, form: str) -> None:
    """Show what would become of WEBHOOK, a file with one webhook, or - for standard input.

    The file holds the frame as the relay sends it or, in YAML or JSON, what stands below `given` in a
    test: bucket, method, path, headers, body and so on.

    For each route: whether it matches, else the condition that failed and the value it saw; and what
    would be sent and answered. Nothing is sent.

    With --diff NEW in place of WEBHOOK: of the webhooks that the running daemon's journal keeps, pending
    or dead, those for which NEW sends something else than the routing file does.
    """
    from bridge.cli.explanation import compare, config_of, explain

    if new is not None and webhook is None:
        compare(config_of(config), config_of(new), form)
    elif webhook is not None and new is None:
        explain(config_of(config), webhook, form)
    else:
        raise click.UsageError("say either WEBHOOK or --diff NEW")
