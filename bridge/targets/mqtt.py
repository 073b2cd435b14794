"""An MQTT broker as a target: deliveries in flight, their results, and the connection's state for people."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from bridge.config.model import BrokerSettings
from bridge.message import DELIVERED, Delivered, Delivery, Failure, FailureKind, MqttMessage, Result
from bridge.targets.base import LastFailure, Listener, TargetState
from bridge.targets.mqtt_answers import Answers, Request, Response
from bridge.targets.mqtt_codes import RESULTS
from bridge.targets.mqtt_ends import Ends, Suspect
from bridge.targets.mqtt_publication import Limits, prepare
from bridge.targets.mqtt_session import Ended, MqttSession
from bridge.targets.mqtt_window import Window

log = logging.getLogger(__name__)

ACKNOWLEDGE_SECONDS: Final = 30.0
"""For the oldest publication in flight; then the connection is replaced and the rest sent again."""

_LOST: Final = Failure(FailureKind.CONNECTION, "lost", "the connection was lost before it was written")
_CLOSED: Final = Failure(FailureKind.CONNECTION, "closed", "the target was closed before the acknowledgement")
_SESSION: Final = Failure(FailureKind.CONNECTION, "session-lost", "the broker forgot the session")
_OTHERS: Final = Failure(FailureKind.CONNECTION, "lost", "another publication broke the connection")
_BLAMED: Final = Failure(FailureKind.BUSY, "mqtt-dropped", "the broker dropped connections over it")
_NO_ID: Final = Failure(FailureKind.BUSY, "mqtt-no-id", "no packet ID was free")


@dataclass(slots=True)
class Counters:
    """Since the process started."""

    published: int = 0
    acknowledged: int = 0
    """Delivered: acknowledged by the broker, or written where the QoS is 0."""
    no_subscriber: int = 0
    """Of the acknowledged ones: the broker had nobody to hand them to."""
    refused: int = 0
    busy: int = 0
    rejected: int = 0
    """Never taken: too large, or the topic is invalid."""
    connections: int = 0
    interruptions: int = 0


class MqttTarget:
    """One broker. What is in flight when a connection is lost is sent again on the next one, marked DUP."""

    def __init__(self, settings: BrokerSettings, listener: Listener, *, node: str) -> None:
        self.name = settings.target
        self.lane_window = settings.max_in_flight
        self.counters = Counters()
        self._settings = settings
        self._listener = listener
        self._version5 = settings.protocol == "5"
        self._window = Window(settings.max_in_flight, version5=self._version5)
        self._limits = Limits()
        self.answers = Answers(node)
        self._subscribed = False
        """To the answers, on this connection."""
        client_id = settings.client_id or f"relay-bridge-{node}-{settings.name}"
        self._session = MqttSession(settings, client_id, self)
        self._state = TargetState("connecting", since=time.time())
        self._last_failure: LastFailure | None = None
        self._in_flight: dict[int, Delivery] = {}
        """By packet ID, the oldest first."""
        self._unwritten: deque[tuple[paho.MQTTMessageInfo, Delivery]] = deque()
        """QoS 0: not yet taken by the system."""
        self._exhausted = True
        self._ends = Ends()
        self._up_since = 0.0
        self._lost_at: float | None = None
        """When the outage began that lasts still."""
        self._answered = False
        """Whether this connection brought an acknowledgement."""
        self._head: Delivery | None = None
        self._head_since = 0.0
        self._idle: asyncio.Event | None = None
        """Set by what ends the wait of `close`."""

    # The port

    def capacity(self) -> int:
        """How many more deliveries it takes now; 0 while it is down."""
        if not self._session.up or self._idle is not None:
            return 0
        return max(0, self._window.size - len(self._in_flight) - len(self._unwritten))

    def state(self) -> TargetState:
        """The connection's state."""
        return self._state

    def last_failure(self) -> LastFailure | None:
        """The newest failure, of the connection or of a publication."""
        return self._last_failure

    @property
    def unheard(self) -> int:
        """Publications that the broker took and had nobody to hand to, as MQTT 5 brokers tell."""
        return self.counters.no_subscriber

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._loop = asyncio.get_running_loop()
        if not self._version5:
            log.warning("%s speaks MQTT 3.1.1: publications it refuses are reported as delivered", self.name)
        self._session.start()

    def send(self, delivery: Delivery) -> None:
        """Publish one delivery."""
        message = delivery.message
        if not isinstance(message, MqttMessage):
            raise TypeError("only MQTT messages are routed to a broker")
        now, request = self._loop.time(), None
        if delivery.answered is not None and self._version5:
            request = self._request(delivery, now)
        publication = prepare(
            delivery, message, self._limits, version5=self._version5, now=now, request=request
        )
        if isinstance(publication, Failure):
            self._loop.call_soon(self._finish, delivery, publication)
            return
        info = self._session.publish(publication)
        self.counters.published += 1
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:  # the IDs went once round, and this one is in use
            self._loop.call_soon(self._finish, delivery, _NO_ID)
        elif publication.qos:
            self._in_flight[info.mid] = delivery
        else:
            self._unwritten.append((info, delivery))
        if not self.capacity():
            self._exhausted = True

    def _request(self, delivery: Delivery, now: float) -> Request:
        """What asks for an answer, which the broker hands on from now on."""
        request = self.answers.ask(delivery, now)
        self._subscribe()
        return request

    def _subscribe(self) -> None:
        if not self._subscribed:
            self._subscribed = True
            self._session.subscribe(self.answers.filter)

    async def close(self, timeout: float) -> None:
        """Wait for what is in flight, disconnect, and fail the rest."""
        self._idle = asyncio.Event()
        if self._session.up and (self._in_flight or self._unwritten):
            try:
                async with asyncio.timeout(timeout):
                    await self._idle.wait()
            except TimeoutError:
                left = len(self._in_flight) + len(self._unwritten)
                log.warning("%s: %d publications were not acknowledged in time", self.name, left)
        await self._session.close()
        self._fail_all(_CLOSED)
        self._state = TargetState("down", "closed", time.time())
        await asyncio.sleep(0)  # results that `send` left to the loop come first

    # What the session says

    def greeted(self, limits: Limits, *, resumed: bool) -> None:
        """Take the broker's limits; take back what the resend could lose or the broker would not bear."""
        self._note_limits(limits)
        self._limits = limits
        self._window.connected(limits.receive_maximum)
        waiting = self._in_flight.values()
        halfway = not resumed and any(_qos(delivery) == 2 for delivery in waiting)
        if halfway or len(self._in_flight) > limits.receive_maximum:
            self._hand_back(_SESSION, _SESSION)

    def connected(self) -> None:
        """Up: the dispatcher may send."""
        self.counters.connections += 1
        self._head = None
        self._answered = False
        self._up_since = self._loop.time()
        self._subscribed = False
        if self.answers:
            self._subscribe()
        self._become("up", "")
        self._offer()

    def acknowledged(self, codes: list[tuple[int, int]]) -> None:
        """Results of publications; a batch is one moment, so it halves the window once at most."""
        results = [
            (delivery, RESULTS[code])
            for mid, code in codes
            if (delivery := self._in_flight.pop(mid, None)) is not None
        ]
        self._answered = True
        if self.answers and self._session.up:
            self._session.hurry()
        if any(isinstance(result, Failure) and result.kind is FailureKind.BUSY for _, result in results):
            self._window.busy()
        else:
            self._window.acknowledged(len(results))
        self._finish_all(results)

    def responded(self, response: Response) -> None:
        """An answer goes to who waits for it."""
        self.answers.take(response, self._loop.time())

    def unsubscribed(self, reason: str) -> None:
        """Answers can't come; publications are not concerned."""
        log.error("%s: answers can't be received: %s", self.name, reason)

    def written(self) -> None:
        """At QoS 0 that is all there is to wait for."""
        results: list[tuple[Delivery, Result]] = []
        while self._unwritten and self._unwritten[0][0].is_published():
            results.append((self._unwritten.popleft()[1], DELIVERED))
        if results:
            self._finish_all(results)

    def overdue(self) -> bool:
        """Whether one publication was the oldest for too long."""
        head = next(iter(self._in_flight.values()), None)
        now = self._loop.time()
        if head is not self._head:
            self._head, self._head_since = head, now
        return head is not None and now - self._head_since > ACKNOWLEDGE_SECONDS

    def disconnected(self, ended: Ended) -> bool:
        """Down, for whatever reason; what is in flight waits for the next connection."""
        self._exhausted = True
        suspect = self._judge() if self._state.name == "up" else Suspect.NOBODY
        taken_over = ended.taken_over or suspect is Suspect.OTHER_CLIENT
        slow = ended.needs_a_person or taken_over
        reason = f"{ended.reason} (another client with the same client ID?)" if taken_over else ended.reason
        self._become("refused" if slow else "down", reason)
        if suspect is Suspect.PUBLICATION:
            self._hand_back(_BLAMED, _OTHERS)
        unwritten = [(delivery, _LOST) for _, delivery in self._unwritten]
        self._unwritten.clear()
        self._finish_all(unwritten)
        if self._idle is not None:
            self._idle.set()
        return slow

    def _judge(self) -> Suspect:
        self.counters.interruptions += 1
        lasted = self._loop.time() - self._up_since
        return self._ends.judge(lasted, waiting=bool(self._in_flight), answered=self._answered)

    # Results

    def _hand_back(self, oldest: Failure, others: Failure) -> None:
        """While down, give everything in flight back to the dispatcher, which sends it again in its order."""
        self._session.drop()
        deliveries = list(self._in_flight.values())
        self._in_flight.clear()
        self._finish_all([(each, others if index else oldest) for index, each in enumerate(deliveries)])

    def _fail_all(self, failure: Failure) -> None:
        results = [(delivery, failure) for delivery in self._in_flight.values()]
        results += [(delivery, failure) for _, delivery in self._unwritten]
        self._in_flight.clear()
        self._unwritten.clear()
        self._finish_all(results)

    def _finish_all(self, results: Iterable[tuple[Delivery, Result]]) -> None:
        for delivery, result in results:
            self._finish(delivery, result)
        self._offer()
        if self._idle is not None and not self._in_flight and not self._unwritten:
            self._idle.set()

    def _finish(self, delivery: Delivery, result: Result) -> None:
        self._count(result)
        self._listener.finished(delivery, result)

    def _count(self, result: Result) -> None:
        counters = self.counters
        if isinstance(result, Delivered):
            counters.acknowledged += 1
            counters.no_subscriber += bool(result.note)
            return
        self._last_failure = LastFailure(f"{result.code}: {result.reason}", time.time())
        if result.kind is FailureKind.REFUSED:
            counters.refused += 1
        elif result.kind is FailureKind.BUSY:
            counters.busy += 1
        elif result.kind is FailureKind.PERMANENT:
            counters.rejected += 1

    def _offer(self) -> None:
        """Say that there is room again, once."""
        if self._exhausted and self.capacity():
            self._exhausted = False
            self._listener.available(self.name)

    # For people

    def _become(self, name: str, reason: str) -> None:
        """One line in the log when it changes; another reason for the same state is quiet."""
        if name != "up":
            self._last_failure = LastFailure(reason, time.time())
        if name == self._state.name:
            self._state = TargetState(name, reason, self._state.since)
            return
        level = {"up": logging.INFO, "refused": logging.ERROR}.get(name, logging.WARNING)
        fields: dict[str, object] = {"target": self.name, "state": name}
        said = f": {reason}" if reason else ""
        if self._lost_at is None:
            self._lost_at = None if name == "up" else self._loop.time()
        elif name == "up":
            fields["seconds"] = seconds = self._loop.time() - self._lost_at
            said, self._lost_at = f" after {seconds:.1f} s", None
        log.log(level, "%s: %s%s", self.name, name, said, extra=fields)
        self._state = TargetState(name, reason, time.time())

    def _note_limits(self, limits: Limits) -> None:
        if limits.maximum_qos < self._limits.maximum_qos:
            log.warning("%s: takes QoS %d at most, and is sent that", self.name, limits.maximum_qos)
        if self._limits.retain and not limits.retain:
            log.warning("%s: retains nothing; messages are sent without retain", self.name)


def _qos(delivery: Delivery) -> int:
    return delivery.message.qos if isinstance(delivery.message, MqttMessage) else 0
