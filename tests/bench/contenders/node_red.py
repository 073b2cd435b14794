"""Node-RED with the flow that one would draw: websocket in, JSON, function, mqtt out."""

import json
import socket

from tests.bench.contenders import npm
from tests.bench.contenders.base import Command, Place

SETTINGS = """
module.exports = {
  uiHost: "127.0.0.1", uiPort: %d, flowFile: "flows.json", credentialSecret: false,
  telemetry: {enabled: false, updateNotification: false}, functionExternalModules: false,
  externalModules: {autoInstall: false, palette: {allowInstall: false}, modules: {allowInstall: false}},
};
"""

# A websocket client has no place for credentials: its status starts the conversation, this function leads it.
GREET = """
if (msg.status.event !== "connect") return null;
return {payload: '{"action":"auth","key":"bench","secret":"bench"}'};
"""
ROUTE = """
const frame = msg.payload;
if (frame.status === "authenticated")
    return [null, {payload: '{"action":"subscribe","buckets":["bench"]}'}];
if (frame.status === "ping") return [null, {payload: '{"action":"pong"}'}];
if (frame.type !== "webhook" || frame.headers["X-Github-Event"][0] !== "push") return null;
const topic = `ci/${JSON.parse(frame.body).repository.name}/push`;
return [{topic, payload: frame.body, %s}, null];
"""


class NodeRed:
    """The npm package `node-red`."""

    name = "node-red"
    title = f"Node-RED {npm.PACKAGES['node-red']}"

    @property
    def missing(self) -> str | None:
        """Node, perhaps."""
        return npm.missing()

    def prepare(self) -> None:
        """Install it."""
        npm.modules("node-red")

    def command(self, place: Place) -> Command:
        """Start it on the flow, in a user folder of its own."""
        settings = place.folder / "settings.js"
        settings.write_text(SETTINGS % _free_port())
        (place.folder / "flows.json").write_text(json.dumps(_flow(place)))
        program = npm.modules("node-red") / "node-red" / "red.js"
        argv = ("node", str(program), "-u", str(place.folder), "-s", str(settings))
        return Command(argv, {"HOME": str(place.folder)})


def _flow(place: Place) -> list[dict[str, object]]:
    relay: dict[str, object] = {"id": "the-relay", "type": "websocket-client", "path": place.relay_url}
    return [
        {"id": "the-tab", "type": "tab", "label": "bench"},
        relay | {"wholemsg": "false", "hb": "0", "subprotocol": "", "tls": ""},
        _node("listen", "websocket in", ["decode"], client="the-relay"),
        _node("decode", "json", ["route"], property="payload", action="obj"),
        _node("route", "function", ["hand-on"], ["say"], outputs=2, func=ROUTE % _extra(place)),
        _node("watch", "status", ["greet"], scope=["listen"]),
        _node("greet", "function", ["say"], outputs=1, func=GREET),
        _node("say", "websocket out", client="the-relay"),
        *_outputs(place),
    ]


def _extra(place: Place) -> str:
    if place.http_url is None:
        return "qos: 1"
    return f"url: '{place.http_url}/' + topic, headers: {{'content-type': 'application/json'}}"


def _outputs(place: Place) -> list[dict[str, object]]:
    if place.http_url is not None:
        return [_node("hand-on", "http request", [], method="POST", ret="txt", url="", persist=True)]
    broker: dict[str, object] = {"id": "the-broker", "type": "mqtt-broker", "broker": "127.0.0.1"}
    session = {"protocolVersion": "5", "clientid": "node-red", "cleansession": False, "sessionExpiry": "3600"}
    return [
        broker | session | {"port": place.broker_port, "keepalive": "60", "autoConnect": True},
        _node("hand-on", "mqtt out", broker="the-broker", topic="", qos="1"),
    ]


def _node(name: str, kind: str, *wires: list[str], **properties: object) -> dict[str, object]:
    return {"id": name, "type": kind, "z": "the-tab", "wires": list(wires), **properties}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
