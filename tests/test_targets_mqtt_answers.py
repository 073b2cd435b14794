"""Requests and responses on a broker: who is meant, and who isn't."""

from pathlib import Path
from typing import Any

import pytest

from bridge.message import DELIVERED, Answer, Delivery
from bridge.routing.reply import LARGEST_BODY
from bridge.targets.mqtt_answers import LONGEST_WAIT, MOST_ASKED, Answers, Response
from tests.support.deliveries import delivery, webhook
from tests.support.mosquitto import Broker, Collector
from tests.support.mqtt import ScriptedBroker, feeding, packet, publication
from tests.support.responder import Responder
from tests.support.waiting import eventually

PLAIN = (("content-type", "text/plain; charset=utf-8"),)


class Sender:
    """A delivery whose sender waits."""

    def __init__(self, log_id: str = "log-1", **fields: Any) -> None:
        self.answers: list[Answer | None] = []
        self.delivery: Delivery = delivery(1, webhook=webhook(id=log_id), **fields)
        self.delivery.answered = self.answers.append


def response(topic: str, payload: bytes = b"on", correlation: bytes | None = None) -> Response:
    return Response(topic, payload, correlation, None)


@pytest.mark.parametrize("correlates", [True, False])
def test_an_answer_goes_to_who_asked_once(correlates: bool) -> None:
    answers, sender = Answers("pi"), Sender()
    request = answers.ask(sender.delivery, 0.0)
    assert request.topic == "relay-bridge/pi/reply/log-1"
    said = response(request.topic, correlation=request.correlation if correlates else None)
    answers.take(said, 1.0)
    answers.take(said, 1.0)
    assert sender.answers == [Answer(200, PLAIN, b"on")]
    assert (answers.taken, answers.strays, len(answers)) == (1, 1, 0)


def test_what_nobody_asked_for_or_with_other_correlation_data_is_a_stray() -> None:
    answers, sender = Answers("pi"), Sender()
    request = answers.ask(sender.delivery, 0.0)
    assert len(request.correlation) == 16
    answers.take(response("relay-bridge/pi/reply/log-2", correlation=request.correlation), 0.0)
    answers.take(response(request.topic, correlation=bytes(16)), 0.0)
    answers.take(response("log-1/x"), 0.0)
    assert (sender.answers, answers.strays) == ([], 3)
    answers.take(response(request.topic, correlation=request.correlation), 0.0)
    assert len(sender.answers) == 1


def test_an_answer_that_comes_too_late_is_a_stray() -> None:
    answers, sender = Answers("pi"), Sender()
    request = answers.ask(sender.delivery, 0.0)
    answers.take(response(request.topic), LONGEST_WAIT)
    assert (sender.answers, answers.strays) == ([], 1)


def test_an_answer_that_is_too_large_is_a_stray() -> None:
    answers, sender = Answers("pi"), Sender()
    request = answers.ask(sender.delivery, 0.0)
    answers.take(response(request.topic, b"x" * (LARGEST_BODY + 1)), 0.0)
    assert (sender.answers, answers.strays) == ([], 1)


def test_a_repeated_attempt_asks_with_the_same_properties() -> None:
    answers, sender = Answers("pi"), Sender()
    assert answers.ask(sender.delivery, 0.0) == answers.ask(sender.delivery, 1.0)
    assert answers.ask(Sender().delivery, 1.0).correlation != answers.ask(Sender().delivery, 1.0).correlation


@pytest.mark.parametrize("log_id", ["a/b", "+", "#", "x" * 65, "\0", "ü"])
def test_an_id_that_is_no_level_of_a_topic_is_replaced(log_id: str) -> None:
    topic = Answers("pi").ask(Sender(log_id).delivery, 0.0).topic
    assert topic.count("/") == 3
    assert topic.isascii()
    assert not set(topic) & set("+#\0")


def test_the_number_of_requests_is_bounded() -> None:
    answers, first = Answers("pi"), Sender("first")
    request = answers.ask(first.delivery, 0.0)
    for number in range(2 * MOST_ASKED):
        answers.ask(Sender(str(number)).delivery, 1.0)
    assert len(answers) <= MOST_ASKED
    answers.take(response(request.topic), 1.0)
    assert first.answers == []


async def test_a_responder_answers_also_after_the_broker_was_restarted(tmp_path: Path) -> None:
    first, second = (publication(seq, webhook=webhook(id=f"log-{seq}")) for seq in (1, 2))
    heard: list[Answer | None] = []
    first.answered = second.answered = heard.append
    async with Broker(tmp_path) as broker, feeding(broker.port) as feeder:
        async with Responder(broker.port, "home/ring", lambda payload: b"got " + payload):
            feeder.give(first)
            await eventually(lambda: heard)
        await broker.stop()
        await broker.start()
        async with Responder(broker.port, "home/ring", lambda payload: b"got " + payload) as responder:
            await eventually(lambda: feeder.target.state().name == "up")
            feeder.give(second)
            await eventually(lambda: len(heard) == 2)
        assert [said and said.body for said in heard] == [b"got {}"] * 2
        assert responder.asked[0].response_topic == "relay-bridge/pi/reply/log-2"
        assert feeder.target.answers.strays == 0


async def test_what_is_not_asked_for_has_no_response_topic_and_no_subscription(tmp_path: Path) -> None:
    asked = publication(2)
    asked.answered = lambda _: None
    subscription = "Received SUBSCRIBE from relay-bridge-pi-home"
    async with (
        Broker(tmp_path, "log_type all") as broker,
        Collector(broker.port, "home/#") as seen,
        feeding(broker.port) as feeder,
    ):
        feeder.give(publication(1))
        (message,) = await seen.wait(1)
        assert (message.response_topic, message.correlation) == (None, None)
        assert subscription not in broker.log
        feeder.give(asked)
        await eventually(lambda: subscription in broker.log)
        assert (await seen.wait(2))[1].response_topic == "relay-bridge/pi/reply/log-2"


async def test_a_broker_that_refuses_the_subscription_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    asked = publication(1)
    asked.answered = lambda _: None
    async with ScriptedBroker() as broker, feeding(broker.port) as feeder:
        assert await feeder.deliver(asked) == [DELIVERED]
        broker.say(packet(0x90, 0, 1, 0, 0x87))  # SUBACK: not authorized
        await eventually(lambda: "answers can't be received: Not authorized" in caplog.text)
