"""paho's client, with some of its inner steps replaced.

These are private to paho, so its minor version is pinned in pyproject.toml; the tests of each against
a real broker fail where an update moves them.
"""

from typing import Final, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bridge.config.model import BrokerSettings
from bridge.targets.mqtt_codes import NO_SUBSCRIBER
from bridge.targets.mqtt_socket import Stream

SESSION_EXPIRY: Final = 3600
"""Seconds that a broker keeps what it knows of our QoS 2 publications after a connection is lost."""

LARGEST_INCOMING: Final = 128 * 1024
"""Bytes of a packet that a broker may send: answers are far shorter."""

_SUCCESS: Final = ReasonCode(PacketTypes.PUBACK)
_NOTHING: Final = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]  # paho leaves it so


class PahoClient(paho.Client):
    """One MQTT session over any number of connections. All of it runs on the event loop's thread."""

    def __init__(self, settings: BrokerSettings, client_id: str) -> None:
        self._version5 = settings.protocol == "5"
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            # A 3.1.1 session has no expiry, and an old one would take new packet IDs for repeats.
            clean_session=None if self._version5 else True,
            protocol=MQTTProtocolVersion.MQTTv5 if self._version5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self._settings = settings
        self._stream: Stream | None = None
        self._unheard: set[int] = set()
        self.acknowledged: list[tuple[int, int]] = []
        """(packet ID, reason code) since the owner last emptied it."""
        if settings.username is not None:
            password = None if settings.password is None else settings.password.reveal()
            self.username_pw_set(settings.username, password)
        self.max_inflight_messages_set(
            0
        )  # no limit: the window is the target's, and paho's costs a scan each
        self.max_queued_messages_set(0)

    def open(self, stream: Stream, *, clean_start: bool) -> None:
        """Begin a session on a new connection, or resume the one that was lost."""
        self._stream = stream
        # Paho pings after one keepalive without a byte and gives up after a second one. Three quarters
        # of the setting make that one and a half.
        keepalive = max(1, self._settings.keepalive * 3 // 4)
        if self._version5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it so
            properties.SessionExpiryInterval = SESSION_EXPIRY
            properties.MaximumPacketSize = LARGEST_INCOMING
            self.connect_async(
                self._settings.host,
                self._settings.port,
                keepalive,
                clean_start=clean_start,
                properties=properties,
            )
        else:
            self.connect_async(self._settings.host, self._settings.port, keepalive)
        self.reconnect()

    def drop(self) -> None:
        """Forget what is in flight: it won't be sent again."""
        self.drop_out_messages()
        self._unheard.clear()

    def _create_socket(self) -> Stream:
        """Paho would connect here, and block."""
        stream, self._stream = self._stream, None
        if stream is None:
            raise ConnectionError("paho asked for a connection by itself")
        return stream

    def _easy_log(self, level: int, fmt: str, *args: object) -> None:
        """Nobody reads paho's own log, and to find that out takes it a lock for each packet."""

    def _handle_pubackcomp(
        self,
        cmd: Literal["PUBACK", "PUBCOMP"],  # noqa: ARG002  # paho's signature
    ) -> MQTTErrorCode:
        """Note an acknowledgement: paho builds four tables for each."""
        packet = self._in_packet["packet"]
        if len(packet) < 2:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        mid = packet[0] << 8 | packet[1]
        if mid not in self._out_messages:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        code = packet[2] if len(packet) > 2 else 0
        if mid in self._unheard:
            self._unheard.discard(mid)
            code = code or NO_SUBSCRIBER
        self.acknowledged.append((mid, code))
        return self._do_on_publish(mid, _SUCCESS, _NOTHING)

    def _handle_pubrec(self) -> MQTTErrorCode:
        """Look at PUBREC's reason code: paho answers a refusal with PUBREL, and reports success."""
        packet = self._in_packet["packet"]
        if len(packet) > 2 and packet[2] >= 0x80:
            return self._handle_pubackcomp("PUBACK")  # a refusal ends the flow, as it does at QoS 1
        if len(packet) > 2 and packet[2] == NO_SUBSCRIBER:
            self._unheard.add(packet[0] << 8 | packet[1])
        return super()._handle_pubrec()
