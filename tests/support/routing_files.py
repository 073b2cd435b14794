"""A routing file with everything that is supported, and short ways to load texts."""

from pathlib import Path
from typing import Final

from bridge.config.loader import Loaded, load_text
from bridge.config.model import Config
from bridge.config.secrets import Secrets

ENVIRONMENT: Final = {
    "RELAY_KEY": "key-of-the-relay",
    "RELAY_SECRET": "secret-of-the-relay",
    "MQTT_PASSWORD": "password-of-the-broker",
    "NODERED_TOKEN": "token-of-the-service",
}

EXAMPLE: Final = """\
# yaml-language-server: $schema=./relay-bridge.schema.json
node: pi
relay:
  url: wss://my.webhookrelay.com/v1/socket
  key: ${RELAY_KEY}
  secret: ${RELAY_SECRET}

brokers:
  home: {url: "mqtt://127.0.0.1:1883", username: bridge, password: "${MQTT_PASSWORD}"}

services:
  nodered: {url: "http://127.0.0.1:1880", headers: {Authorization: "Bearer ${NODERED_TOKEN}"}, timeout: 15s}

defaults: {qos: 1, retain: false, expire_after: 72h}

routes:
  - name: doorbell
    match: {bucket: doorbell, method: POST, body.event: ring}
    send:
      - mqtt: home/doorbell/{{ body.door }}/ring          # the topic
      - http: http://127.0.0.1:1880/doorbell              # the URL

  - name: github-push
    match:                                                # all of these
      bucket: github
      header.x-github-event: push
      body.ref: {startswith: refs/heads/}
      not: {body.sender.login: [bot1, bot2]}              # a list: any of these
    order: "{{ body.repository.full_name }}"
    send:
      - mqtt: ci/{{ body.repository.name }}/push
        broker: home
        payload: {repo: "{{ body.repository.full_name }}", commits: "{{ body.commits | length }}"}
        qos: 1
        expire_after: 1h
      - http: /ci/push
        service: nodered
        format: envelope
        retry: {attempts: 5, first: 2s, longest: 1m}

  - name: slash-command
    match: {bucket: slack, path: /light}
    when: "{{ form.text | lower in ('on', 'off') }}"
    final: true
    send:
      - mqtt: home/light/set
        payload: "{{ form.text | upper }}"

unmatched: count
journal: {max_bytes: 64MiB, linger: 20ms, when_full: drop_oldest}
"""


def loaded(text: str, environment: dict[str, str] | None = None) -> Loaded:
    """A text, loaded with the example's environment and the one given."""
    return load_text(text, secrets=Secrets(Path(), ENVIRONMENT | (environment or {})))


def config_of(text: str, environment: dict[str, str] | None = None) -> Config:
    """The configuration of a text that has no error."""
    result = loaded(text, environment)
    assert result.config is not None, result.report()
    return result.config


def with_routes(routes: str) -> str:
    """A routing file with these routes and the relay's credentials (two lines before the routes)."""
    return "relay: {key: a, secret: b}\nroutes:\n" + routes


def assert_problems(text: str, expected: list[str], environment: dict[str, str] | None = None) -> None:
    """Check the complete list of a text's problems, each written as `E0102 what stands there`."""
    lines = text.split("\n")
    found = [
        f"{p.code.number} {lines[p.line - 1][p.column - 1 :]}" for p in loaded(text, environment).problems
    ]
    fits = [there.startswith(start) for there, start in zip(found, expected, strict=False)]
    assert len(found) == len(expected), found
    assert all(fits), found
