"""The topics of one bridge."""

import pytest

from bridge.home.topics import Topics
from bridge.targets.mqtt_publication import topic_problem

TOPICS = Topics("relay-bridge/pi")


def test_topics_are_below_the_base_and_can_be_published_to() -> None:
    topics = [*TOPICS.retained, TOPICS.dead, TOPICS.alert, TOPICS.event("a_b-C"), TOPICS.response("reload")]
    assert [topic.removeprefix("relay-bridge/pi/") for topic in topics] == [
        *("status", "info", "health", "dead", "alert", "event/a_b-C", "response/reload")
    ]
    assert {topic_problem(topic) for topic in topics} == {None}


@pytest.mark.parametrize(
    ("topic", "command"),
    [
        ("relay-bridge/pi/request/reload", "reload"),
        ("relay-bridge/pi/request/", ""),
        ("relay-bridge/pi/request", None),
        ("relay-bridge/pi/response/reload", None),
        ("relay-bridge/other/request/reload", None),
        ("relay-bridge/pi/request/a/b", None),
    ],
)
def test_a_requests_topic_names_its_command(topic: str, command: str | None) -> None:
    assert TOPICS.command(topic) == command
