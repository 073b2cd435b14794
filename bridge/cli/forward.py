"""`relay-bridge forward`: one bucket to one target, with no file."""

import hashlib
import json
from pathlib import Path

import click

from bridge.cli.run import run_daemon
from bridge.folders import Folders, folders
from bridge.logs import set_up_logging
from bridge.relay.protocol import DEFAULT_RELAY_URL


@click.command("forward")
@click.option("--bucket", required=True, help="The bucket's name or ID.")
@click.option("--mqtt", "topic", metavar="TOPIC", help="Publish each webhook's body on this topic.")
@click.option("--http", "url", metavar="URL", help="Send each webhook to this URL.")
@click.option("--broker", default="mqtt://127.0.0.1:1883", show_default=True, help="The broker for --mqtt.")
@click.option("--relay", default=DEFAULT_RELAY_URL, show_default=True, help="The relay's socket.")
def command(bucket: str, topic: str | None, url: str | None, broker: str, relay: str) -> None:
    """Forward one bucket to one MQTT topic or HTTP URL, both of which may be templates.

    The credentials are taken from RELAY_KEY and RELAY_SECRET. What could not be delivered is kept, and
    sent when the same command runs again.
    """
    if (topic is None) == (url is None):
        raise click.UsageError("give one of --mqtt and --http")
    set_up_logging("info")
    text = routing_text(bucket=bucket, topic=topic, url=url, broker=broker, relay=relay)
    where = own_folders(folders(), text)
    run_daemon(_write(text, where.state), where)


def routing_text(*, bucket: str, topic: str | None, url: str | None, broker: str, relay: str) -> str:
    """The routing file that says the same. JSON is YAML, and quotes what comes from the command line."""
    item = {"mqtt": topic} if topic is not None else {"http": url}
    return json.dumps(
        {
            "relay": {"url": relay, "key": "${RELAY_KEY}", "secret": "${RELAY_SECRET}"},
            "console": False,  # it runs beside the daemon, whose console it is that people know
            **({"brokers": {"home": {"url": broker}}} if topic is not None else {}),
            "routes": [{"name": "forward", "match": {"bucket": bucket}, "send": [item]}],
        },
        indent=2,
    )


def own_folders(where: Folders, text: str) -> Folders:
    """Folders for this command alone: it runs beside the daemon, and finds its journal again."""
    name = f"forward-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    return Folders(where.state / name, where.runtime / name)


def _write(text: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "forward.yaml"
    file.write_text(text, encoding="utf-8")
    return file
