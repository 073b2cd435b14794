"""What an HTTP target hands on of a service's answer to the webhook's sender."""

import pytest

from bridge.message import Answer
from bridge.routing.reply import LARGEST_BODY
from tests.support.http import answering, deliver, make_delivery, raw_server, running


def response(status: str, body: bytes = b"", *lines: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines])
    return f"{head}\r\n\r\n".encode() + body


async def heard(*answers: bytes) -> list[Answer | None]:
    """What the sender's side hears of a delivery whose attempts are answered like this."""
    heard: list[Answer | None] = []
    async with raw_server(answering(*answers)) as server, running(server.url) as (target, recorder):
        for seq, _ in enumerate(answers):
            delivery = make_delivery(f"{server.url}/", seq=seq)
            delivery.answered = heard.append
            await deliver(target, recorder, delivery)
    return heard


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "400 Bad Request", "422 Whatever"])
async def test_a_last_word_is_handed_on(status: str) -> None:
    sent = response(status, b"<b>", "Content-Type: text/html", "Set-Cookie: a=b")
    assert await heard(sent) == [Answer(int(status[:3]), (("content-type", "text/html"),), b"<b>")]


@pytest.mark.parametrize(
    "status", ["401 Who", "404 Not Found", "410 Gone", "429 Slow", "500 No", "302 Found"]
)
async def test_what_a_repetition_may_change_is_not(status: str) -> None:
    assert await heard(response(status, b"x")) == []


async def test_a_body_of_just_the_largest_size_is_whole_and_a_longer_one_is_not() -> None:
    largest = b"x" * LARGEST_BODY
    assert await heard(response("200 OK", largest)) == [Answer(200, (), largest)]
    assert await heard(response("200 OK", largest + b"x")) == [None]


async def test_a_body_that_is_cut_off_or_coded_is_not_passed_on() -> None:
    assert await heard(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx") == [None]
    assert await heard(response("200 OK", b"\x1f\x8b", "Content-Encoding: gzip")) == [None]
    assert await heard(response("200 OK", b"x", "Content-Encoding: identity")) == [Answer(200, (), b"x")]
