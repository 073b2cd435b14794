from pathlib import Path

import pytest

from bridge.doctor.finding import Check, State
from bridge.doctor.topics import STAND_IN, topics
from tests.support.doctor import installation, listener, wrong
from tests.support.mosquitto import free_port
from tests.support.routing_files import config_of


async def test_a_broker_that_is_down(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        sound.write(broker=f"mqtt://127.0.0.1:{free_port()}")
        found = await sound.findings()
    assert wrong(found) == {Check.BROKER_REACHED}
    assert "refused" in found[Check.BROKER_REACHED].detail
    assert "systemctl status mosquitto" in found[Check.BROKER_REACHED].remedy


async def test_a_wrong_password_is_named_and_not_shown(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        sound.secret("mqtt-password", "wr0ng-canary")
        found = await sound.findings()
    assert wrong(found) == {Check.BROKER_CREDENTIALS}
    assert "the broker refused" in found[Check.BROKER_CREDENTIALS].detail
    assert "mosquitto_passwd" in found[Check.BROKER_CREDENTIALS].remedy
    assert "wr0ng-canary" not in repr(found)


def acl(folder: Path, *allowed: str) -> str:
    """The setting by which the bridge may publish on these topics only."""
    file = folder / "acl"
    rules = ["user bridge", *(f"topic write {one}" for one in allowed), "user reader", "topic read #"]
    file.write_text("\n".join(rules) + "\n")
    return f"acl_file {file}"


@pytest.mark.parametrize(
    ("topic", "denied"),
    [
        ("home/bell", "home/bell"),
        ("home/{{ body.door }}/bell", f"home/{STAND_IN}/bell"),
        ("work/bell", ""),
    ],
)
async def test_an_acl_that_denies_a_topic_and_nobody_gets_the_probe(
    topic: str, denied: str, tmp_path: Path
) -> None:
    async with (
        installation(tmp_path, acl(tmp_path, "work/#")) as sound,
        listener(sound.broker, "#") as seen,
    ):
        sound.write(topic=topic)
        found = await sound.findings()
        assert seen.messages == []
    assert wrong(found) == ({Check.BROKER_ACL} if denied else set())
    if denied:
        assert found[Check.BROKER_ACL].detail == f"publishing is denied on {denied}"
        assert "topic write" in found[Check.BROKER_ACL].remedy


async def test_more_topics_than_a_broker_takes_at_a_time(tmp_path: Path) -> None:
    async with installation(tmp_path, acl(tmp_path, "work/#")) as sound:
        routes = "".join(f"      - mqtt: work/{number}\n" for number in range(45))
        sound.write()
        sound.file.write_text(sound.file.read_text() + routes + "      - mqtt: home/last\n")
        found = await sound.findings()
    assert wrong(found) == {Check.BROKER_ACL}
    # The first is of the installation itself.
    assert found[Check.BROKER_ACL].detail == f"publishing is denied on home/bell/{STAND_IN}, home/last"


async def test_a_broker_without_persistence(tmp_path: Path) -> None:
    async with installation(tmp_path, "persistence false") as sound:
        found = await sound.findings()
    assert wrong(found) == {Check.BROKER_PERSISTENCE}
    assert "persistence true" in found[Check.BROKER_PERSISTENCE].remedy


async def test_a_broker_that_takes_short_messages_only(tmp_path: Path) -> None:
    async with installation(tmp_path, "max_packet_size 2000") as sound:
        found = await sound.findings()
    assert wrong(found) == {Check.BROKER_LIMITS}
    assert "2000 bytes at most" in found[Check.BROKER_LIMITS].detail
    assert "max_packet_size" in found[Check.BROKER_LIMITS].remedy


@pytest.mark.parametrize(("unheard", "state"), [(3, State.BAD), (0, State.GOOD)])
async def test_what_the_daemon_published_to_nobody(unheard: int, state: State, tmp_path: Path) -> None:
    targets = {"mqtt:home": {"delivered": 7, "unheard": unheard}}
    status = {"relay": {"state": "subscribed"}, "journal": {"bytes": 0}, "targets": targets}
    async with installation(tmp_path) as sound:
        found = (await sound.findings(status))[Check.BROKER_SUBSCRIBERS]
    assert found.state is state
    assert ("3 of 7 messages" in found.detail) is bool(unheard)
    assert ("mosquitto_sub" in found.remedy) is bool(unheard)


REMOTE = "127.1"
"""To the system 127.0.0.1, to the doctor a name like any other: such a broker must show that it withholds."""


async def test_a_remote_broker_shows_that_it_withholds_what_is_not_released(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound, listener(sound.broker) as seen:
        sound.write(broker=f"mqtt://{REMOTE}:{sound.broker.port}")
        found = await sound.findings()
        assert seen.messages == []
    assert found[Check.BROKER_ACL].state is State.GOOD
    assert found[Check.BROKER_PERSISTENCE].state is State.SKIPPED


async def test_a_remote_broker_that_can_not_show_it_is_not_probed(tmp_path: Path) -> None:
    async with installation(tmp_path, acl(tmp_path, "work/#")) as sound:
        sound.write(broker=f"mqtt://{REMOTE}:{sound.broker.port}")
        found = await sound.findings()
    assert wrong(found) == set()
    assert "might reach subscribers" in found[Check.BROKER_ACL].detail


def test_topics_that_are_known_without_a_webhook() -> None:
    config = config_of(
        "relay: {key: a, secret: b}\n"
        "brokers: {home: {url: 'mqtt://h'}, other: {url: 'mqtt://o'}}\n"
        "status: {broker: home, topic: here}\n"
        "routes:\n"
        "  - {name: a, match: {bucket: a}, send: [{mqtt: 'x/{{ body.a }}-{{ id }}/y', broker: home}]}\n"
        "  - {name: b, match: {bucket: a}, send: [{mqtt: plain, broker: home}, {mqtt: not, broker: other}]}\n"
        "  - {name: c, enabled: false, match: {bucket: a}, send: [{mqtt: off, broker: home}]}\n"
        "unmatched: [{mqtt: rest, broker: home}]\n"
    )
    own = ["here/status", "here/info", "here/health"]
    assert topics(config, "mqtt:home") == [f"x/{STAND_IN}-{STAND_IN}/y", "plain", "rest", *own]
