"""`relay-bridge dead`: what could not be delivered."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click

from bridge.cli.client import ask
from bridge.cli.exits import FAILED
from bridge.cli.options import duration, format_option
from bridge.config.problems import printable

AT_ONCE = 250
"""Dead letters in one request."""
WAIT_SECONDS = 60.0


@click.group("dead")
def command() -> None:
    """List, show, retry or purge dead letters: what could not be delivered."""


def filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which dead letters are meant."""
    for option in (
        click.option("--older-than", metavar="DURATION", callback=duration, help="Such as 24h."),
        click.option("--code", help="Why it failed, such as http-404."),
        click.option("--target", help="Where it was to go, such as mqtt:home."),
        click.option("--route", help="The route that sent it."),
    ):
        function = option(function)
    return function


def chosen(function: Callable[..., Any]) -> Callable[..., Any]:
    """IDs, filters or all of them."""
    everything = click.option("--all", "everything", is_flag=True, help="All of them.")
    return click.argument("ids", nargs=-1, type=click.IntRange(1))(filters(everything(function)))


def _letters(wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every dead letter that meets the filters, page by page."""
    after = 0
    while after is not None:
        answer = ask("dead-list", wanted | {"after": after}, timeout=WAIT_SECONDS)
        yield from answer["letters"]
        after = answer["after"]


def _portions(ids: tuple[int, ...], everything: bool, wanted: dict[str, Any]) -> Iterator[list[int]]:
    """IDs of what is meant; all are known before the first is touched, for a retry can fail at once again."""
    kinds = (bool(ids), everything, any(value is not None for value in wanted.values()))
    if sum(kinds) != 1:
        raise click.UsageError("say which: IDs, filters, or --all")
    found = list(ids) or [letter["id"] for letter in _letters(wanted)]
    for start in range(0, len(found), AT_ONCE):
        yield found[start : start + AT_ONCE]


@command.command("list")
@filters
@format_option
def list_(form: str, **wanted: Any) -> None:
    """List dead letters, oldest first."""
    count = 0
    for letter in _letters(wanted):
        count += 1
        click.echo(json.dumps(letter) if form == "json" else _described(letter))
    click.echo(f"{count} dead letter{'s' * (count != 1)}", err=True)


def _described(letter: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(letter["at"], UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    place = f"{letter['route']} -> {letter['target']} {letter['place']}"
    reason = f"{letter['code']}: {letter['reason']}"
    return f"{letter['id']:>6}  {at}  {printable(place)}\n        {printable(reason)}"


@command.command("show")
@click.argument("number", metavar="ID", type=click.IntRange(1))
def show(number: int) -> None:
    """Show one dead letter and its webhook, as JSON; of its headers the names only."""
    click.echo(json.dumps(ask("dead-show", {"id": number})["letter"], indent=2))


@command.command("retry")
@chosen
def retry(ids: tuple[int, ...], everything: bool, **wanted: Any) -> None:
    """Deliver dead letters again, by today's routes. What can't be stays, and is named."""
    count, kept = 0, 0
    for portion in _portions(ids, everything, wanted):
        stays = ask("dead-retry", {"ids": portion}, timeout=WAIT_SECONDS)["kept"]
        count, kept = count + len(portion), kept + len(stays)
        for one in stays:
            click.echo(f"{one['id']} stays: {printable(one['reason'])}", err=True)
    click.echo(f"{count - kept} of {count} dead letters are on their way again")
    if kept:
        sys.exit(FAILED)


@command.command("purge")
@chosen
def purge(ids: tuple[int, ...], everything: bool, **wanted: Any) -> None:
    """Remove dead letters for good."""
    portions = _portions(ids, everything, wanted)
    count = sum(ask("dead-purge", {"ids": one}, timeout=WAIT_SECONDS)["purged"] for one in portions)
    click.echo(f"{count} dead letters are removed")
