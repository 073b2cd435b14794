"""`relay-bridge reload`: the running daemon reads its routing file again."""

import sys

import click

from bridge.cli.client import ask
from bridge.cli.exits import FAILED


@click.command("reload")
@click.option("--wait", type=click.FloatRange(1, 600), default=30, show_default=True, help="Seconds to wait.")
def command(wait: float) -> None:
    """Have the daemon read its routing file again, and tell the outcome. Exit 1 where it was rejected."""
    answer = ask("reload", timeout=wait)
    for problem in answer["problems"]:
        click.echo(place_and_message(problem), err=True)
    use = f"generation {answer['generation']} ({answer['fingerprint'][:12]}) is in use"
    click.echo(f"{answer['outcome']}: {use}")
    sys.exit(FAILED if answer["outcome"] == "rejected" else 0)


def place_and_message(problem: dict[str, object]) -> str:
    """A problem of the daemon's answer on one line."""
    place = f"{problem['file']}:{problem['line']}:{problem['column']}"
    return f"{place}: {problem['severity']}[{problem['code']}]: {problem['message']}"
