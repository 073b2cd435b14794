"""The `engine` of the relay's settings."""

from pathlib import Path

import pytest
import yaml

from bridge.secret import Secret
from bridge.selfhosted.nodes import SettingsError
from bridge.selfhosted.resources import NatsSettings, Settings
from bridge.selfhosted.settings import parse_settings

STARTER = Path(__file__).parent.parent / "config" / "relay.yaml"


def parsed(text: str) -> Settings:
    return parse_settings(text, {"NATS": "s3cr3t"})


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        parsed(text)
    return [one.message for one in refused.value.problems]


def test_an_address_is_enough() -> None:
    settings = parsed("engine: {nats: 'nats://127.0.0.1:4222'}")
    assert settings.engine == NatsSettings(("nats://127.0.0.1:4222",))
    assert settings.state is None


def test_every_key_is_read() -> None:
    found = parsed(
        "engine: {nats: ['tls://a:4222', 'tls://b:4222'], user: relay, password: '${NATS}', ca: /ca.pem,"
        " certificate: /relay.pem, key: /relay.key, replicas: 3}"
    ).engine
    assert found == NatsSettings(
        ("tls://a:4222", "tls://b:4222"),
        "relay",
        ca=Path("/ca.pem"),
        certificate=Path("/relay.pem"),
        key=Path("/relay.key"),
        replicas=3,
    )
    assert found.password == Secret("s3cr3t")


def test_the_engine_that_the_starter_file_shows_can_be_used(tmp_path: Path) -> None:
    _, _, rest = STARTER.read_text().partition("# engine:")
    block = "engine:" + rest.partition("\n\n")[0].replace("\n#", "\n")
    password = tmp_path / "password"
    password.write_text("s3cr3t\n")
    found = parsed(block.replace("/etc/relay-bridge/nats-password", str(password))).engine
    assert found is not None
    assert found.password == Secret("s3cr3t")
    assert set(yaml.safe_load(block)["engine"]) == {
        *("nats", "user", "password", "ca", "certificate", "key", "replicas")
    }


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("{}", "nats: the URL"),
        ("{nats: []}", "at least one URL"),
        ("{nats: 'http://h'}", "nats://127.0.0.1:4222"),
        ("{nats: 'nats://h:port'}", "nats://127.0.0.1:4222"),
        ("{nats: 'nats://me:s3cr3t@h'}", "credentials don't belong in a URL"),
        ("{nats: 'nats://h', user: me}", "user, password"),
        ("{nats: 'nats://h', ca: /ca, key: /key}", "certificate, key"),
        ("{nats: 'nats://h', certificate: /c, key: /key}", "ca: needed"),
        ("{nats: 'nats://h', ca: ca.pem}", "absolute path"),
        ("{nats: 'nats://h', replicas: 2}", "1, 3 or 5"),
        ("{nats: 'nats://h', redis: 1}", "unknown key 'redis'"),
    ],
)
def test_what_can_not_be_used_is_told(engine: str, said: str) -> None:
    (problem,) = problems(f"engine: {engine}")
    assert said in problem
    assert "s3cr3t" not in problem


def test_an_engine_takes_the_place_of_the_folder() -> None:
    assert problems("engine: {nats: 'nats://h'}\nstate: /var/lib/relay") == [
        "state: with an engine, nothing is kept in a folder"
    ]


def test_nothing_is_ephemeral_in_nats() -> None:
    found = problems("engine: {nats: 'nats://h'}\nbuckets: {a: {ephemeral: true}}")
    assert found == ["ephemeral: NATS keeps every webhook on its disks"]
