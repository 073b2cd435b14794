"""The conversation: every state with every status, on both sides."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import FrameError
from bridge.relay.frames import encode_webhook
from bridge.relay.protocol import (
    AckReceived,
    AuthRequested,
    ClientProtocol,
    ClientState,
    Ignored,
    PongReceived,
    Refused,
    Send,
    ServerProtocol,
    Subscribed,
    SubscribeRequested,
)
from bridge.secret import Secret
from bridge.webhook import Webhook
from tests.support.relay import a_webhook

S = ClientState


def client(state: ClientState = S.AUTHENTICATING, buckets: tuple[str, ...] | None = None) -> ClientProtocol:
    protocol = ClientProtocol("k", Secret("s"), buckets)
    protocol.opened()
    path = {
        S.AUTHENTICATING: [],
        S.SUBSCRIBING: ["authenticated"],
        S.SUBSCRIBED: ["authenticated", "subscribed"],
    }
    for name in path.get(state, ["unauthorized"]):
        protocol.receive(status(name), 1.0)
    assert protocol.state is state
    return protocol


def status(name: str, message: str = "") -> str:
    return json.dumps({"type": "status", "status": name, "message": message})


def test_the_client_presents_its_credentials_first() -> None:
    protocol = ClientProtocol("k", Secret("s"), None)
    before = protocol.state
    assert json.loads(protocol.opened()) == {"action": "auth", "key": "k", "secret": "s"}
    assert (before, protocol.state) == (S.CONNECTING, S.AUTHENTICATING)


@pytest.mark.parametrize(
    ("buckets", "sent"),
    [
        (None, {"action": "subscribe"}),
        ((), {"action": "subscribe"}),
        (("a", "b"), {"action": "subscribe", "buckets": ["a", "b"]}),
    ],
)
def test_the_client_subscribes_when_it_is_authenticated(
    buckets: tuple[str, ...] | None, sent: dict[str, object]
) -> None:
    event = client(buckets=buckets).receive(status("authenticated"), 1.0)
    assert isinstance(event, Send)
    assert json.loads(event.text) == sent


REFUSED = Refused("m")
TABLE = {
    (S.AUTHENTICATING, "authenticated"): (S.SUBSCRIBING, Send('{"action":"subscribe"}')),
    (S.AUTHENTICATING, "subscribed"): (S.AUTHENTICATING, None),
    (S.AUTHENTICATING, "unauthorized"): (S.REFUSED, REFUSED),
    (S.SUBSCRIBING, "authenticated"): (S.SUBSCRIBING, None),
    (S.SUBSCRIBING, "subscribed"): (S.SUBSCRIBED, Subscribed(())),
    (S.SUBSCRIBING, "unauthorized"): (S.REFUSED, REFUSED),
    (S.SUBSCRIBED, "authenticated"): (S.SUBSCRIBED, None),
    (S.SUBSCRIBED, "subscribed"): (S.SUBSCRIBED, None),
    (S.SUBSCRIBED, "unauthorized"): (S.REFUSED, REFUSED),
    (S.REFUSED, "authenticated"): (S.REFUSED, None),
    (S.REFUSED, "subscribed"): (S.REFUSED, None),
    (S.REFUSED, "unauthorized"): (S.REFUSED, None),
}


@pytest.mark.parametrize(("before", "name"), TABLE)
def test_every_transition_of_the_client(before: ClientState, name: str) -> None:
    protocol = client(before)
    event = protocol.receive(status(name, "m"), 1.0)
    after, expected = TABLE[before, name]
    assert protocol.state is after
    assert isinstance(event, Ignored) if expected is None else event == expected


@pytest.mark.parametrize("state", [S.AUTHENTICATING, S.SUBSCRIBING, S.SUBSCRIBED, S.REFUSED])
def test_pings_webhooks_and_strange_frames_change_no_state(state: ClientState) -> None:
    protocol = client(state)
    assert protocol.receive(status("ping"), 1.0) == Send('{"action":"pong"}')
    assert isinstance(protocol.receive(status("rebooting"), 1.0), Ignored)
    assert isinstance(protocol.receive('{"type":"news"}', 1.0), Ignored)
    webhook = protocol.receive(encode_webhook(a_webhook(7)), 5.0)
    assert isinstance(webhook, Webhook)
    assert (webhook.id, webhook.received_at, webhook.late) == ("7", 5.0, False)
    with pytest.raises(FrameError):
        protocol.receive("garbage", 1.0)
    assert protocol.state is state


@pytest.mark.parametrize("frame", ['{"type":"%s"}', '{"type":"status","status":"%s"}'])
def test_what_is_ignored_is_named_shortly_and_escaped(frame: str) -> None:
    event = client().receive(frame % ("\\u001b[31m" + "x" * 1_000_000), 1.0)
    assert isinstance(event, Ignored)
    assert len(event.reason) < 100
    assert event.reason.isprintable()
    assert r"\x1b" in event.reason


def test_the_names_that_the_relay_confirms() -> None:
    confirmed = client(S.SUBSCRIBING).receive(status("subscribed", "subscribed to buckets: a, b"), 1.0)
    assert confirmed == Subscribed(("a", "b"))


@given(st.lists(st.sampled_from(["authenticated", "subscribed", "unauthorized", "ping", "x"])))
def test_no_order_of_statuses_subscribes_without_authentication(names: list[str]) -> None:
    protocol = client()
    events = [protocol.receive(status(name), 1.0) for name in names]
    if any(isinstance(event, Subscribed) for event in events):
        before = names[: next(i for i, event in enumerate(events) if isinstance(event, Subscribed))]
        assert "authenticated" in before
        assert "unauthorized" not in before


def test_the_server_understands_its_own_client() -> None:
    ours, theirs = ClientProtocol("k", Secret("s"), ("a", "b")), ServerProtocol()
    assert theirs.receive(ours.opened()) == AuthRequested("k", Secret("s"))
    subscribe = ours.receive(theirs.authenticated(), 1.0)
    assert isinstance(subscribe, Send)
    assert theirs.receive(subscribe.text) == SubscribeRequested(("a", "b"), {})
    assert ours.receive(theirs.subscribed(["a", "b"]), 1.0) == Subscribed(("a", "b"))
    pong = ours.receive(theirs.ping(), 1.0)
    assert isinstance(pong, Send)
    assert theirs.receive(pong.text) == PongReceived()
    assert ours.receive(theirs.refused("gone"), 1.0) == Refused("gone")


def authenticated() -> ServerProtocol:
    protocol = ServerProtocol()
    protocol.authenticated()
    return protocol


def test_the_server_takes_clients_that_send_every_field_always() -> None:
    auth = '{"action":"auth","key":"k","secret":"s","buckets":null}'
    assert ServerProtocol().receive(auth) == AuthRequested("k", Secret("s"))
    subscribe = '{"action":"subscribe","key":"","secret":"","buckets":[""]}'
    assert authenticated().receive(subscribe) == SubscribeRequested(None, {})


@pytest.mark.parametrize("buckets", ["null", "[]", '[""]'])
def test_no_bucket_means_every_bucket(buckets: str) -> None:
    request = authenticated().receive(f'{{"action":"subscribe","buckets":{buckets}}}')
    assert request == SubscribeRequested(None, {})


def test_fields_beyond_the_protocol_are_handed_on() -> None:
    request = authenticated().receive('{"action":"subscribe","buckets":["a"],"since":{"after":5}}')
    assert request == SubscribeRequested(("a",), {"since": {"after": 5}})


def test_subscribing_without_authentication_is_refused() -> None:
    protocol = ServerProtocol()
    assert isinstance(protocol.receive('{"action":"subscribe"}'), Refused)
    protocol.receive('{"action":"auth","key":"k","secret":"wrong"}')
    assert isinstance(protocol.receive('{"action":"subscribe"}'), Refused)
    protocol.authenticated()
    protocol.refused("second thoughts")
    assert isinstance(protocol.receive('{"action":"subscribe"}'), Refused)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        '{"action":"auth","key":1}',
        '{"action":"auth","secret":"a","secret":"b"}',
        '{"action":"subscribe","buckets":"a"}',
        '{"action":"subscribe","buckets":[1]}',
    ],
)
def test_a_client_that_talks_nonsense(text: str) -> None:
    with pytest.raises(FrameError):
        authenticated().receive(text)


@given(st.text() | st.binary())
def test_random_input_never_moves_the_server(data: str | bytes) -> None:
    protocol = ServerProtocol()
    with suppress(FrameError):
        assert isinstance(protocol.receive(data), Ignored)
    assert isinstance(protocol.receive('{"action":"subscribe"}'), Refused)


def test_no_event_shows_the_secret() -> None:
    assert "s3cr3t" not in repr(ServerProtocol().receive('{"action":"auth","key":"k","secret":"s3cr3t"}'))


def test_a_client_asks_for_acknowledgements_only_where_it_is_told_to() -> None:
    protocol = ClientProtocol("k", Secret("s"), ["a"], ack=True, resume="17")
    protocol.opened()
    asked = protocol.receive('{"type":"status","status":"authenticated"}', 0.0)
    assert isinstance(asked, Send)
    assert json.loads(asked.text) == {
        "action": "subscribe",
        "buckets": ["a"],
        "ack": "explicit",
        "body_encoding": "base64",
        "resume": "17",
    }
    server = authenticated()
    wanted = server.receive(asked.text)
    assert wanted == SubscribeRequested(("a",), {}, explicit=True, resume="17", exact=True)
    assert isinstance(wanted, SubscribeRequested)
    assert protocol.receive(server.subscribed(["a"], wanted), 0.0) == Subscribed(("a",), explicit=True)
    assert server.receive(protocol.acknowledge("18")) == AckReceived("18")


@pytest.mark.parametrize("ack", [False, True])
def test_a_relay_that_knows_no_acknowledgements_gets_none(*, ack: bool) -> None:
    protocol = ClientProtocol("k", Secret("s"), None, ack=ack)
    protocol.opened()
    asked = protocol.receive('{"type":"status","status":"authenticated"}', 0.0)
    assert isinstance(asked, Send)
    assert ("ack" in json.loads(asked.text)) is ack
    assert "resume" not in json.loads(asked.text)
    assert protocol.receive(ServerProtocol().subscribed([]), 0.0) == Subscribed((), explicit=False)


def test_a_client_that_did_not_ask_is_never_told_to_acknowledge() -> None:
    protocol = ClientProtocol("k", Secret("s"), None)
    protocol.opened()
    protocol.receive('{"type":"status","status":"authenticated"}', 0.0)
    said = protocol.receive('{"type":"status","status":"subscribed","ack":"explicit"}', 0.0)
    assert said == Subscribed((), explicit=False)


def in_a_group() -> tuple[ClientProtocol, Send]:
    """A client that is told to share, and what it asks for."""
    protocol = ClientProtocol("k", Secret("s"), ["a"], ack=True, group="workers")
    protocol.opened()
    asked = protocol.receive('{"type":"status","status":"authenticated"}', 0.0)
    assert isinstance(asked, Send)
    return protocol, asked


def test_a_client_learns_that_it_shares() -> None:
    protocol, asked = in_a_group()
    server = authenticated()
    wanted = server.receive(asked.text)
    assert wanted == SubscribeRequested(("a",), {}, explicit=True, exact=True, group="workers")
    assert isinstance(wanted, SubscribeRequested)
    told = protocol.receive(server.subscribed(["a"], wanted), 0.0)
    assert told == Subscribed(("a",), explicit=True, group="workers")


@pytest.mark.parametrize("odd", ["1", "null", "[]", '"others"', "{}"])
def test_a_client_learns_that_it_does_not_share(odd: str) -> None:
    protocol, _ = in_a_group()
    said = f'{{"type":"status","status":"subscribed","ack":"explicit","group":{odd}}}'
    assert protocol.receive(said, 0.0) == Subscribed((), explicit=True, group="")


def test_a_client_that_asks_for_no_group_says_none_and_is_told_none() -> None:
    protocol = ClientProtocol("k", Secret("s"), None, ack=True)
    protocol.opened()
    asked = protocol.receive('{"type":"status","status":"authenticated"}', 0.0)
    assert isinstance(asked, Send)
    assert "group" not in json.loads(asked.text)
    said = '{"type":"status","status":"subscribed","group":"workers"}'
    assert protocol.receive(said, 0.0) == Subscribed(())


@pytest.mark.parametrize("odd", ["1", "null", "[]", '"sometimes"', "{}"])
def test_other_words_for_acknowledgement_mean_none(odd: str) -> None:
    asked = f'{{"action":"subscribe","ack":{odd},"resume":{odd}}}'
    request = authenticated().receive(asked)
    assert isinstance(request, SubscribeRequested)
    assert not request.explicit


def test_nobody_acknowledges_before_it_is_let_in() -> None:
    assert isinstance(ServerProtocol().receive('{"action":"ack","id":"1"}'), Ignored)
