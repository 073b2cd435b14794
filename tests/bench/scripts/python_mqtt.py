"""The shortest honest bridge in Python: no journal, no limits, reconnects to the broker by itself."""

import asyncio
import json
import os

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from websockets.asyncio.client import connect


async def main() -> None:
    broker = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    broker.connect("127.0.0.1", int(os.environ["MQTT_PORT"]))
    broker.loop_start()
    async with connect(os.environ["RELAY_URL"]) as relay:
        await relay.send('{"action": "auth", "key": "bench", "secret": "bench"}')
        async for message in relay:
            frame = json.loads(message)
            if frame.get("status") == "authenticated":
                await relay.send('{"action": "subscribe", "buckets": ["bench"]}')
            elif frame.get("status") == "ping":
                await relay.send('{"action": "pong"}')
            elif frame["type"] == "webhook" and frame["headers"]["X-Github-Event"][0] == "push":
                topic = f"ci/{json.loads(frame['body'])['repository']['name']}/push"
                broker.publish(topic, frame["body"], qos=1)


asyncio.run(main())
