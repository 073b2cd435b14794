"""Making webhooks and deliveries for tests, and a target that does as it is told."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from bridge.message import DELIVERED, Delivery, HttpRequest, MqttMessage, Result
from bridge.targets.base import LastFailure, Listener, TargetState
from bridge.webhook import Webhook


def webhook(body: bytes = b"{}", **fields: Any) -> Webhook:
    """A webhook with plausible fields; any of them can be given."""
    given: dict[str, Any] = {
        "id": "log-1",
        "bucket": "doorbell",
        "bucket_id": "1593fe5f-45f9-45cc-ba23-675fdc7c1638",
        "input": "Default public endpoint",
        "input_id": "b90f2fe9-621d-4290-9e74-edd5b61325dd",
        "output": "",
        "destination": "/",
        "method": "POST",
        "query_string": "",
        "headers": {"content-type": ("application/json",)},
        "received_at": 1_700_000_000.0,
    }
    headers: Mapping[str, tuple[str, ...]] | None = fields.pop("headers", None)
    if headers is not None:
        given["headers"] = headers
    return Webhook(raw=body, **(given | fields))


def delivery(
    seq: int, *, target: str = "mqtt:home", order_key: str | None = "route", **fields: Any
) -> Delivery:
    """A delivery of a webhook whose body is its number."""
    given: dict[str, Any] = {
        "webhook_seq": seq,
        "webhook": webhook(str(seq).encode(), id=f"log-{seq}"),
        "message": MqttMessage("a/b"),
        "route": "route",
        "generation": 1,
    }
    return Delivery(seq=seq, target=target, order_key=order_key, **(given | fields))


class ScriptedTarget:
    """A target in memory: it answers what the script says, in the next turns of the loop."""

    def __init__(
        self,
        name: str,
        answer: Callable[[Delivery], Result] = lambda _: DELIVERED,
        *,
        window: int = 10,
        lane_window: int = 1,
    ) -> None:
        self.name = name
        self.answer = answer
        self.window = window
        self.lane_window = lane_window
        self.up = True
        self.listener: Listener | None = None
        self.attempts: list[Delivery] = []
        self.taken: list[Delivery] = []
        self.in_flight = 0
        self._loop = asyncio.get_running_loop()

    def capacity(self) -> int:
        return self.window - self.in_flight if self.up else 0

    def send(self, delivery: Delivery) -> None:
        assert self.capacity() > 0
        self.in_flight += 1
        self.attempts.append(delivery)
        self._loop.call_soon(self._finish, delivery)

    def _finish(self, delivery: Delivery) -> None:
        assert self.listener is not None
        self.in_flight -= 1
        result = self.answer(delivery)
        if result == DELIVERED:
            self.taken.append(delivery)
        self.listener.finished(delivery, result)

    def set_up(self, up: bool) -> None:
        self.up = up
        if up:
            assert self.listener is not None
            self.listener.available(self.name)

    def state(self) -> TargetState:
        return TargetState("up" if self.up else "down")

    def last_failure(self) -> LastFailure | None:
        return None

    async def start(self) -> None:
        """It is there from the beginning."""

    async def close(self, timeout: float) -> None:  # noqa: ARG002  # the port's signature
        self.up = False

    def bodies(self) -> list[str]:
        """What was delivered, as the numbers of the webhooks."""
        return [taken.webhook.text for taken in self.taken]


def topic(delivery: Delivery) -> str:
    """The topic or URL of a delivery."""
    message = delivery.message
    return message.url if isinstance(message, HttpRequest) else message.topic
