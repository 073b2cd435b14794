"""`relay-bridge init`: a first routing file and its secrets, asked for and tried."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from bridge.cli.doctor import lines
from bridge.cli.exits import FAILED
from bridge.cli.options import config_option, use_colour
from bridge.doctor.finding import Check, Finding, State
from bridge.folders import SYSTEM_CONFIG, environment_of, state_of
from bridge.relay.protocol import DEFAULT_RELAY_URL
from bridge.secret import Secret
from bridge.setup.files import new_files, refuse_existing, refuse_unwritable, write
from bridge.setup.starter import DEFAULT_BROKER, Answers, BadAnswer, Starter

NONE = "none"


@click.command("init")
@config_option
@click.option("--relay", metavar="URL", help=f"The relay's socket; else {DEFAULT_RELAY_URL}.")
@click.option("--bucket", help="The bucket's name or ID; else all of them.")
@click.option("--broker", metavar="URL", help=f"The MQTT broker, or {NONE}; else {DEFAULT_BROKER}.")
@click.option("--username", help="Your user name at the broker.")
@click.option("--http", metavar="URL", help="A URL that is sent each webhook, too.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--force", is_flag=True, help="Replace files that are there; they are kept as FILE.old.")
def command(config: Path, *, yes: bool, force: bool, **given: str | None) -> None:
    """Write a routing file and files with its secrets, and try whether relay and targets answer.

    What no option says is asked for. Secrets are taken from RELAY_KEY, RELAY_SECRET (or RELAY_API_KEY) and
    MQTT_PASSWORD, or asked for; never from the command line, which others can see. Exit 1 where something
    does not answer: the files are written all the same.
    """
    file = config.absolute()
    as_service = file == SYSTEM_CONFIG
    if not force:
        refuse_existing([file])
    refuse_unwritable(file.parent)
    starter = Starter(Dialogue(file, as_service, given, ask=not yes).answers(), as_service)
    files = new_files(starter, file)
    if not force:
        refuse_existing(one.path for one in files)
    write(files, force=force)
    click.echo("".join(f"wrote {one.path}\n" for one in files) + "trying it …", err=True)
    findings = asyncio.run(_try(file))
    click.echo("\n".join(lines(findings, colour=use_colour(sys.stdout))))
    click.echo(_next(file, as_service=as_service), err=True)
    sys.exit(FAILED if any(one.state is State.BAD for one in findings) else 0)


async def _try(file: Path) -> list[Finding]:
    """The doctor's findings, but for what only a running daemon can tell."""
    from bridge.doctor.examination import Patient, examine  # heavy: after the dialogue

    found = await examine(Patient(file, state_of(file), environment=environment_of(file)))
    return [one for one in found if one.check is not Check.BROKER_SUBSCRIBERS]


def _next(file: Path, *, as_service: bool) -> str:
    if as_service:
        return "next: systemctl daemon-reload && systemctl restart relay-bridge"
    return f"next: relay-bridge run -c {file}"


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Asks for what was not given; an answer that can't be used is asked for again.

    Args:
        file: where the routing file will be.
        as_service: whether systemd hands over the secrets.
        given: options by name.
        ask: False: what was not given is as usual.
    """

    file: Path
    as_service: bool
    given: dict[str, str | None]
    ask: bool

    def answers(self) -> Answers:
        """All of them.

        Raises:
            click.UsageError: an answer that was given can't be used, or one is missing.
        """
        # Placeholders, until the real ones are known: every text on the way is a whole routing file.
        found = Answers(key="key", secret=Secret("secret"))
        found = self._text(found, "relay", "The relay's socket", DEFAULT_RELAY_URL)
        found = self._credentials(found)
        found = self._text(found, "bucket", "Bucket (empty: all of them)", "")
        found = self._text(found, "broker", f"MQTT broker (or {NONE})", DEFAULT_BROKER)
        if found.broker:
            found = self._text(found, "username", "Your user name at the broker (empty: none)", "")
        if found.username:
            found = replace(found, password=Secret(self._secret("MQTT_PASSWORD", "Your password there")))
        found = self._text(found, "http", "A URL that is sent each webhook, too (empty: none)", "")
        if not found.broker and not found.http:
            raise click.UsageError("give a broker or a URL: else webhooks go nowhere")
        return found

    def _credentials(self, found: Answers) -> Answers:
        api_key = os.environ.get("RELAY_API_KEY", "")
        if api_key:
            return replace(found, key="", secret=Secret(api_key))
        question = "Key of your access token (empty: you have one API key)"
        key = os.environ.get("RELAY_KEY") or (self._prompt(question, "") if self.ask else "")
        if not key and not self.ask:
            raise click.UsageError("set RELAY_KEY and RELAY_SECRET, or RELAY_API_KEY")
        name, what = ("RELAY_SECRET", "Its secret") if key else ("RELAY_API_KEY", "The API key")
        return replace(found, key=key, secret=Secret(self._secret(name, what)))

    def _text(self, found: Answers, name: str, question: str, default: str) -> Answers:
        def accept(text: str) -> Answers:
            changed: dict[str, Any] = {name: "" if text.strip() == NONE else text.strip()}
            return self._checked(replace(found, **changed))

        given = self.given[name]
        if given is not None:
            return accept(given)
        return self._prompt(question, default, accept) if self.ask else accept(default)

    def _checked(self, found: Answers) -> Answers:
        whole = found if found.broker or found.http else replace(found, broker=DEFAULT_BROKER)
        try:
            Starter(whole, self.as_service).check(self.file)
        except BadAnswer as error:
            raise click.UsageError(str(error)) from None
        return found

    def _secret(self, variable: str, question: str) -> str:
        value = os.environ.get(variable, "")
        if not value and not self.ask:
            raise click.UsageError(f"set the environment variable {variable}")
        return value or self._prompt(question, None, hidden=True)

    def _prompt(
        self,
        question: str,
        default: str | None,
        accept: Callable[[str], Any] = str.strip,
        *,
        hidden: bool = False,
    ) -> Any:
        # Where answers are piped, a hidden one would be asked for at the terminal all the same.
        return click.prompt(
            question,
            default=default,
            value_proc=accept,
            hide_input=hidden and sys.stdin.isatty(),
            show_default=bool(default),
            err=True,
        )
