"""The queue before a consumer that may be slow."""

import asyncio

import pytest

from bridge.relay.inbox import OVERHEAD, Inbox
from tests.support.relay import a_webhook


class Source:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def inbox(self, most: int, most_bytes: int) -> Inbox:
        return Inbox(
            most, most_bytes, lambda: self.calls.append("pause"), lambda: self.calls.append("resume")
        )


async def test_the_source_pauses_when_full_and_resumes_when_half_is_taken() -> None:
    source = Source()
    inbox = source.inbox(4, 1_000_000)
    for number in range(3):
        inbox.put(a_webhook(number))
    assert source.calls == []
    for number in range(3, 6):  # the last two were on their way
        inbox.put(a_webhook(number))
    assert source.calls == ["pause"]
    taken = [(await inbox.get()).id for _ in range(3)]
    assert source.calls == ["pause"]
    taken.append((await inbox.get()).id)
    assert source.calls == ["pause", "resume"]
    assert taken == ["0", "1", "2", "3"]


async def test_bytes_count_too() -> None:
    source = Source()
    inbox = source.inbox(1000, 2 * (500 + OVERHEAD))
    for number in range(2):
        inbox.put(a_webhook(number, body="x" * 500))
    assert source.calls == ["pause"]
    await inbox.get()
    await inbox.get()
    assert source.calls == ["pause", "resume"]


@pytest.mark.parametrize("most", [1, 2])
async def test_a_tiny_room_resumes_too(most: int) -> None:
    source = Source()
    inbox = source.inbox(most, 1_000_000)
    for number in range(most):
        inbox.put(a_webhook(number))
    for _ in range(most):
        await inbox.get()
    assert source.calls == ["pause", "resume"]


async def test_what_was_put_before_the_end_is_still_given() -> None:
    inbox = Source().inbox(10, 1_000_000)
    inbox.put(a_webhook(1))
    inbox.end(None)
    assert (await inbox.get()).id == "1"
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await inbox.get()


async def test_an_error_ends_every_consumer() -> None:
    inbox = Source().inbox(10, 1_000_000)
    consumers = [asyncio.create_task(inbox.get()) for _ in range(2)]
    await asyncio.sleep(0)
    inbox.end(KeyError("lost"))
    results = await asyncio.gather(*consumers, return_exceptions=True)
    assert [type(result) for result in results] == [KeyError, KeyError]
