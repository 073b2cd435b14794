from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.model import Config
from bridge.routing.items import HttpItem, MqttItem
from bridge.secret import Secret
from bridge.setup.starter import Answers, BadAnswer, Starter

FILE = Path("/somewhere/bridge.yaml")
KNOWN = Answers(key="the-key", secret=Secret("s3cret"), password=Secret("pa55"))


def config_of(answers: Answers, *, as_service: bool = False) -> Config:
    loaded = Starter(answers, as_service).check(FILE)
    assert loaded.problems == (), loaded.report()
    assert loaded.config is not None
    return loaded.config


@pytest.mark.parametrize("as_service", [True, False])
def test_every_answer_is_in_the_file_and_no_secret(as_service: bool) -> None:
    answers = replace(
        KNOWN,
        relay="wss://relay.example/v1/socket",
        bucket="doorbell",
        broker="mqtts://broker.example",
        username="bridge",
        http="http://127.0.0.1:1880/hook",
    )
    config = config_of(answers, as_service=as_service)
    broker = config.brokers["mqtt:home"]
    assert (config.relay.url, config.relay.key) == (answers.relay, "the-key")
    assert (config.relay.secret, config.relay.buckets) == (answers.secret, ("doorbell",))
    assert (broker.scheme, broker.host, broker.username) == ("mqtts", "broker.example", "bridge")
    assert broker.password == answers.password
    [route] = config.table.routes
    assert [type(item) for item in route.items] == [MqttItem, HttpItem]
    text = Starter(answers, as_service).routing
    assert not any(secret in text for secret in ("the-key", "s3cret", "pa55"))


def test_the_least_answers() -> None:
    config = config_of(Answers(secret=Secret("api")))
    assert (config.relay.key, config.relay.secret.reveal()) == ("whr", "api")
    assert config.relay.buckets is None
    assert config.brokers["mqtt:home"].username is None


def test_http_alone() -> None:
    config = config_of(replace(KNOWN, broker="", http="https://service.example/x"))
    assert config.brokers == {}
    assert list(config.services) == ["http:https://service.example"]


# A reference is filled in wherever it stands, and a template rendered.
PLAIN = st.text(min_size=1, max_size=60).filter(lambda text: "${" not in text and not text.isspace())


@given(PLAIN, PLAIN)
def test_any_text_stays_what_it_is(bucket: str, username: str) -> None:
    answers = replace(KNOWN, bucket=bucket, username=username)
    try:
        config = config_of(answers)
    except BadAnswer:
        return
    assert config.relay.buckets == (bucket,)
    assert config.brokers["mqtt:home"].username == username


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (replace(KNOWN, relay="https://relay.example"), "wss://"),
        (replace(KNOWN, broker="broker.example"), "mqtt://"),
        (replace(KNOWN, http="ftp://x"), "http"),
        (replace(KNOWN, bucket="${HOME}"), "HOME"),
    ],
)
def test_answers_that_no_file_can_be_made_of(answers: Answers, said: str) -> None:
    with pytest.raises(BadAnswer, match=said):
        Starter(answers, as_service=False).check(FILE)


def test_systemd_is_told_of_each_secret() -> None:
    starter = Starter(replace(KNOWN, username="bridge"), as_service=True)
    assert starter.drop_in(Path("/etc/relay-bridge/credentials")) == (
        "[Service]\n"
        "LoadCredential=relay-key:/etc/relay-bridge/credentials/relay-key\n"
        "LoadCredential=relay-secret:/etc/relay-bridge/credentials/relay-secret\n"
        "LoadCredential=mqtt-password:/etc/relay-bridge/credentials/mqtt-password\n"
    )
