from typing import Any

import pytest

from bridge.errors import RenderError
from bridge.message import HttpRequest, MqttMessage
from bridge.routing.items import HttpItem, MqttItem
from bridge.routing.payload import ENVELOPE, JsonPayload, TextPayload
from bridge.routing.scope import Scope
from bridge.routing.template import Place, compile_template
from tests.support.deliveries import webhook

TOPIC = compile_template("home/{{ body.door }}/ring", Place.TOPIC)
URL = compile_template("http://127.0.0.1:1880/{{ body.door }}", Place.URL)


def scope(body: bytes = b'{"door": "front"}', **fields: Any) -> Scope:
    return Scope(webhook(body, **fields), "hall")


def test_a_publication_of_the_body() -> None:
    assert MqttItem("mqtt:home", TOPIC).render(scope()) == MqttMessage(
        topic="home/front/ring", payload=None, qos=1, retain=False, content_type="application/json"
    )


def test_a_publication_of_something_else() -> None:
    payload = TextPayload(compile_template("{{ body.door | upper }}", Place.TEXT))
    item = MqttItem("mqtt:home", TOPIC, payload, qos=2, retain=True, expires=True)
    assert item.render(scope()) == MqttMessage(
        "home/front/ring", b"FRONT", 2, True, "text/plain; charset=utf-8", True
    )


def test_a_request_with_the_body() -> None:
    headers = {"content-type": ("text/x",), "x-event": ("ring",), "cookie": ("a=b",)}
    assert HttpItem("http:x", URL).render(scope(headers=headers, method="PUT")) == HttpRequest(
        "PUT",
        "http://127.0.0.1:1880/front",
        (
            ("content-type", "text/x"),
            ("x-event", "ring"),
            ("webhook-id", "log-1"),
            ("idempotency-key", "log-1"),
        ),
        None,
    )


def test_a_request_with_a_payload_of_its_own() -> None:
    event = compile_template("{{ body.door }}!", Place.HEADER)
    item = HttpItem("http:x", URL, "POST", (("X-Event", event),), JsonPayload({"a": 1}))
    found = item.render(scope(headers={"content-type": ("text/x",), "x-event": ("ring", "twice")}, id=""))
    assert found == HttpRequest(
        "POST",
        "http://127.0.0.1:1880/front",
        (("content-type", "application/json"), ("X-Event", "front!")),
        b'{"a":1}',
    )


def test_a_content_type_of_the_item_wins() -> None:
    own = (("Content-Type", compile_template("application/x-own", Place.HEADER)),)
    found = HttpItem("http:x", URL, headers=own, payload=ENVELOPE).render(scope())
    assert [value for name, value in found.headers if name.lower() == "content-type"] == ["application/x-own"]


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "post", "GET / HTTP/1.1\r\nX: y", "", "PROPFIND"])
def test_methods_that_are_not_sent_on(method: str) -> None:
    with pytest.raises(RenderError, match="method"):
        HttpItem("http:x", URL).render(scope(method=method))
    assert HttpItem("http:x", URL, "POST").render(scope(method=method)).method == "POST"


def test_a_template_that_fails_is_a_render_error() -> None:
    header = (("x-a", compile_template("{{ body.none }}", Place.HEADER)),)
    payload = TextPayload(compile_template("{{ body.none }}", Place.TEXT))
    for item in (
        HttpItem("http:x", URL, headers=header),
        HttpItem("http:x", URL, payload=payload),
        MqttItem("mqtt:home", TOPIC, payload),
    ):
        with pytest.raises(RenderError, match=r"body\.none is missing"):
            item.render(scope())
    for item in (HttpItem("http:x", URL), MqttItem("mqtt:home", TOPIC)):
        with pytest.raises(RenderError, match=r"body\.door is missing"):
            item.render(scope(b"{}"))
