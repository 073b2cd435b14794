"""`relay-bridge reload`: the running daemon reads its routing file again."""

import sys

import click

from bridge.cli.client import ask


@click.command("reload")
@click.option("--wait", type=click.FloatRange(1, 600), default=30, show_default=True, help="Seconds to wait.")
def command(wait: float) -> None:
    """Have the daemon read its routing file again. Exit 1 where the file was rejected."""
    answer = ask("reload", timeout=wait)
    for problem in answer["problems"]:
        place = f"{problem['file']}:{problem['line']}:{problem['column']}"
        click.echo(f"{place}: {problem['severity']}[{problem['code']}]: {problem['message']}", err=True)
    use = f"generation {answer['generation']} ({answer['fingerprint'][:12]}) is in use"
    click.echo(f"{answer['outcome']}: {use}")
    sys.exit(1 if answer["outcome"] == "rejected" else 0)
