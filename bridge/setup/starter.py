"""The routing file of a new installation, and what stands in files beside it. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.secrets import Secrets
from bridge.errors import ConfigError
from bridge.folders import CREDENTIALS
from bridge.relay.protocol import DEFAULT_RELAY_URL
from bridge.secret import Secret

if TYPE_CHECKING:  # it is heavy
    from bridge.config.loader import Loaded

UNIT: Final = "relay-bridge.service"
DEFAULT_BROKER: Final = "mqtt://127.0.0.1:1883"
_NOTHING: Final = Secret("")


class BadAnswer(ConfigError):
    """No routing file can be made of this answer."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What has to be known. An empty text stands for "none"; an empty key for an API key as the secret."""

    relay: str = DEFAULT_RELAY_URL
    key: str = ""
    secret: Secret = _NOTHING
    bucket: str = ""
    broker: str = DEFAULT_BROKER
    username: str = ""
    password: Secret = _NOTHING
    http: str = ""


@dataclass(frozen=True, slots=True)
class Starter:
    """The files of a new installation.

    Args:
        answers: what was asked for.
        as_service: whether systemd hands the secrets to the service; else it reads their files itself.
    """

    answers: Answers
    as_service: bool

    @property
    def secrets(self) -> dict[str, str]:
        """The files with secrets, by their names in CREDENTIALS."""
        answers = self.answers
        found = {
            "relay-key": answers.key,
            "relay-secret" if answers.key else "relay-api-key": answers.secret.reveal(),
            "mqtt-password": answers.password.reveal() if answers.broker and answers.username else "",
        }
        return {name: text for name, text in found.items() if text}

    @property
    def routing(self) -> str:
        """The routing file."""
        answers = self.answers
        parts = [_HEAD, self._relay()]
        if answers.broker:
            parts.append(self._broker())
        where = f"    match: {{bucket: {_quoted(answers.bucket)}}}\n" if answers.bucket else ""
        parts.append(f"{_ROUTES}  - name: webhooks\n{where}    send:\n")
        if answers.broker:
            parts.append(_MQTT_ITEM)
        if answers.http:
            parts.append(f"{_HTTP_COMMENT}      - http: {_quoted(answers.http)}\n")
        return "".join(parts) + _TAIL

    def drop_in(self, folder: Path) -> str:
        """What tells systemd of the secrets in a folder."""
        lines = [f"LoadCredential={name}:{folder / name}" for name in self.secrets]
        return "\n".join(["[Service]", *lines, ""])

    def check(self, file: Path) -> "Loaded":
        """The routing file, read as the daemon will.

        Raises:
            BadAnswer: it has an error.
        """
        from bridge.config.loader import load_text  # noqa: PLC0415  # heavy, and `--help` is fast

        texts = self.secrets
        credentials = {"CREDENTIALS_DIRECTORY": str(file.parent / CREDENTIALS)}
        secrets = Secrets(file.parent, credentials, lambda path: texts[path.name].encode())
        loaded = load_text(self.routing, name=file.name, secrets=secrets)
        for problem in loaded.problems:
            if problem.severity == "error":
                raise BadAnswer(problem.message)
        return loaded

    def _reference(self, name: str) -> str:
        return f"${{credential:{name}}}" if self.as_service else f"${{file:{CREDENTIALS}/{name}}}"

    def _relay(self) -> str:
        answers = self.answers
        own = f"  url: {_quoted(answers.relay)}\n" if answers.relay != DEFAULT_RELAY_URL else ""
        if not answers.key:
            return f'relay:\n{own}  api_key: "{self._reference("relay-api-key")}"\n'
        names = {"key": "relay-key", "secret": "relay-secret"}
        return f"relay:\n{own}" + _block({key: self._reference(name) for key, name in names.items()})

    def _broker(self) -> str:
        answers = self.answers
        said = f"\nbrokers:\n  home:\n    url: {_quoted(answers.broker)}\n"
        if answers.username:
            said += f"    username: {_quoted(answers.username)}\n"
            if answers.password.reveal():
                said += f'    password: "{self._reference("mqtt-password")}"\n'
        return said


def _block(values: Mapping[str, str]) -> str:
    return "".join(f'  {key}: "{value}"\n' for key, value in values.items())


def _quoted(text: str) -> str:
    """A text as YAML takes it, whatever is in it: JSON's escapes are YAML's, too."""
    return json.dumps(text)


_HEAD: Final = """\
# The routing file of relay-bridge. It is applied again whenever it is saved; `relay-bridge check` finds
# mistakes. Secrets are in files of their own, which nobody else can read; ${…} stands for what is in them.

"""
_ROUTES: Final = """
# Every route that matches a webhook delivers it, from top to bottom. `match` says which webhooks a route
# takes, such as {bucket: doorbell, method: POST, body.event: ring}; without it, all of them.
routes:
"""
_MQTT_ITEM: Final = """\
      # The topic; the payload is the webhook's body. What stands in {{ … }} is the webhook's: bucket, body, …
      - mqtt: "webhooks/{{ bucket }}"
"""
_HTTP_COMMENT: Final = """\
      # The URL, which is sent the webhook's method, body and content type.
"""
_TAIL: Final = """
# A route for one kind of webhook, with a payload of its own:
#  - name: github-push
#    match: {bucket: github, header.x-github-event: push}
#    send:
#      - mqtt: "ci/{{ body.repository.name }}/push"
#        payload: {commits: "{{ body.commits | length }}"}
"""
