"""`relay-bridge send`: a webhook made by hand, through the relay or straight into the routes."""

import sys
from dataclasses import replace
from typing import Any, BinaryIO

import click

from bridge.cli.client import ask
from bridge.cli.exits import FAILED
from bridge.cli.lines import is_well, show
from bridge.cli.options import format_option, wait_option
from bridge.demo.samples import BUCKETS, SAMPLES
from bridge.relay.frames import encode_webhook
from bridge.webhook import Webhook

DAEMON_SECONDS = 10.0
RELAY_SECONDS = 90.0
"""For the relay to tell the address, and to take the webhook."""


@click.command("send")
@click.argument("webhook", type=click.File("rb"), required=False)
@click.option("--sample", type=click.Choice(BUCKETS), help="One that is built in, in place of WEBHOOK.")
@click.option("--bucket", help="Into this bucket, in place of the one that WEBHOOK or the sample names.")
@click.option("--local", is_flag=True, help="Straight into the routes, without the relay.")
@click.option("--url", help="The public address to send to, in place of that of the bucket's first input.")
@wait_option
@format_option
def command(
    webhook: BinaryIO | None,
    sample: str | None,
    bucket: str | None,
    local: bool,
    url: str | None,
    wait: float,
    form: str,
) -> None:
    """Send WEBHOOK, a file with one webhook, or - for standard input, and print what becomes of it.

    The file holds what `explain` takes: a frame of the relay or, in YAML or JSON, what stands below
    `given` in a test. It goes to the relay's public address, and comes to the running daemon as any other
    does. With --local it begins there, as nobody's: no sender waits for an answer.

    A route that verifies signatures refuses it, unless it is signed. Exit 1 where it is not delivered.
    """
    if (webhook is None) == (sample is None):
        raise click.UsageError("say either WEBHOOK or --sample")
    if local and url is not None:
        raise click.UsageError("--local goes to no --url")
    made = _sample(sample) if webhook is None else _from_file(webhook)
    if bucket is not None:
        made = replace(made, bucket=bucket, bucket_id="")
    told = _send(made, wait, local=local, url=url)
    for one in told:
        show(one, form)
    sys.exit(0 if all(map(is_well, told)) else FAILED)


def _sample(bucket: str | None) -> Webhook:
    found = SAMPLES[BUCKETS.index(bucket or "")]
    headers = {"content-type": (found.content_type,)}
    headers |= {name.lower(): (value,) for name, value in found.headers}
    return Webhook("", found.bucket, "", "", "", "", "/", "POST", "", headers, found.body.encode(), 0.0)


def _from_file(file: BinaryIO) -> Webhook:
    from bridge.cli.webhook_file import read_webhook

    return read_webhook(file.read(), getattr(file, "name", "-"))[0]


def _send(webhook: Webhook, wait: float, *, local: bool, url: str | None) -> list[dict[str, Any]]:
    """What became of it: a line for each copy that the relay makes."""
    request = {"frame": encode_webhook(webhook), "wait": wait}
    if local:
        answer = ask("send", request, timeout=wait + DAEMON_SECONDS)
    else:
        answer = ask("send-around", request | {"url": url}, timeout=wait + RELAY_SECONDS)
        click.echo(f"the relay answered {answer['answered']}", err=True)
    told: list[dict[str, Any]] = answer["webhooks"]
    return told
