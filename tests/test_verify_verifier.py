"""Windows, the rules of the clock, and replays."""

import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.secret import Secret
from bridge.verify.replay import ReplayCache
from bridge.verify.schemes import SCHEMES, HmacHeader, Token
from bridge.verify.verdict import Clock, Rejected, Verdict, Verified
from bridge.verify.verifier import Verifier
from bridge.webhook import Webhook
from tests.support.signatures import VECTORS, Vector, relaybox_at

NONE_SEEN = ReplayCache()
SENT = 1_700_000_000.0
TIMED = {name: vector for name, vector in VECTORS.items() if vector.rules.window and vector.aged}
UNTIMED = {name: vector for name, vector in VECTORS.items() if not vector.rules.window}

each_timed = pytest.mark.parametrize("vector", TIMED.values(), ids=TIMED)


def code(verdict: Verdict) -> str:
    return verdict.code if isinstance(verdict, Rejected) else "verified"


@each_timed
def test_the_window_holds_both_ways_and_to_the_second(vector: Vector) -> None:
    def judged(later: float) -> str:
        return code(vector.verifier().verify(vector.webhook(), vector.clock(later), NONE_SEEN))

    assert [judged(later) for later in (-300.0, 0.0, 300.0)] == ["verified"] * 3
    assert judged(300.5) == "too-old"
    assert judged(-300.5) == "in-the-future"


def test_relaybox_has_a_window_of_a_minute() -> None:
    vector = relaybox_at("2023-11-14T23:13:20+01:00")
    judged = [
        code(vector.verifier().verify(vector.webhook(), vector.clock(later), NONE_SEEN))
        for later in (-60.5, -60, 60, 60.5)
    ]
    assert judged == ["in-the-future", "verified", "verified", "too-old"]


@given(later=st.floats(-1e9, 1e9), window=st.floats(0, 1e6))
def test_a_window_can_be_of_any_width(later: float, window: float) -> None:
    vector = VECTORS["slack"]
    verifier = Verifier("gate", vector.rules, [Secret(vector.secret)], window=window, refuse_replays=False)
    clock = vector.clock(later)
    accepted = isinstance(verifier.verify(vector.webhook(), clock, NONE_SEEN), Verified)
    assert accepted == (abs(clock.now - SENT) <= window)


@each_timed
def test_without_a_window_any_age_will_do(vector: Vector) -> None:
    verifier = Verifier("gate", vector.rules, [Secret(vector.secret)], window=None, refuse_replays=False)
    for later in (-1e9, 1e9):
        verdict = verifier.verify(vector.webhook(), vector.clock(later), NONE_SEEN)
        assert isinstance(verdict, Verified)
        assert not verdict.deferred


@each_timed
def test_a_machine_that_does_not_know_the_time_defers_the_age(vector: Vector) -> None:
    at_boot = Clock(now=0.0, synchronised=False)
    verdict = vector.verifier().verify(vector.webhook(), at_boot, NONE_SEEN)
    assert isinstance(verdict, Verified)
    assert verdict.deferred
    forged = vector.verifier("whsec_b3RoZXI=").verify(vector.webhook(), at_boot, NONE_SEEN)
    assert code(forged) == "bad-signature"


@each_timed
@pytest.mark.parametrize("synchronised", [True, False])
def test_a_late_webhook_is_judged_by_when_the_relay_received_it(vector: Vector, synchronised: bool) -> None:
    def judged(received: float) -> Verdict:
        webhook = vector.webhook(late=True, received_at=vector.sent_at + received)
        clock = Clock(vector.sent_at + 86_400, synchronised=synchronised)
        return vector.verifier().verify(webhook, clock, NONE_SEEN)

    verdict = judged(2.0)
    assert isinstance(verdict, Verified)
    assert not verdict.deferred
    assert code(judged(301.0)) == "too-old"
    assert code(judged(-301.0)) == "in-the-future"


def test_a_live_webhook_is_judged_by_the_clock() -> None:
    vector = VECTORS["stripe"]
    webhook = vector.webhook(received_at=SENT)
    assert code(vector.verifier().verify(webhook, vector.clock(301), NONE_SEEN)) == "too-old"


@pytest.mark.parametrize("vector", UNTIMED.values(), ids=UNTIMED)
def test_a_scheme_that_signs_no_time_has_no_window(vector: Vector) -> None:
    assert isinstance(vector.verifier().verify(vector.webhook(), vector.clock(1e9), NONE_SEEN), Verified)
    with pytest.raises(ConfigError, match="window"):
        Verifier("gate", vector.rules, [Secret("x")], window=300.0, refuse_replays=False)


@pytest.mark.parametrize("secrets", [[], [""], ["s3cr3t", ""]])
def test_a_verifier_has_secrets(secrets: list[str]) -> None:
    with pytest.raises(ConfigError, match="secrets"):
        Verifier("gate", SCHEMES["github"], list(map(Secret, secrets)), window=None, refuse_replays=False)


@pytest.mark.parametrize("scheme", [Token(), HmacHeader(header="x-sig")])
def test_replays_are_known_only_by_an_id(scheme: Any) -> None:
    with pytest.raises(ConfigError, match="ID"):
        Verifier("gate", scheme, [Secret("x")], window=None, refuse_replays=True)


class Gate:
    """A verifier as the intake uses it: judge on every route, remember once the webhook was accepted."""

    def __init__(self, vector: Vector, **settings: Any) -> None:
        self.vector = vector
        self.verifier = vector.verifier(**({"refuse_replays": True} | settings))
        self.replays = ReplayCache()

    def judge(self, webhook: Webhook) -> str:
        return code(self.verifier.verify(webhook, self.vector.clock(), self.replays))

    def deliver(self, **fields: Any) -> str:
        webhook = self.vector.webhook(**fields)
        verdict = self.verifier.verify(webhook, self.vector.clock(), self.replays)
        if isinstance(verdict, Verified):
            self.verifier.accepted(webhook, verdict, self.replays)
        return code(verdict)


def stripe_event() -> Vector:
    body = b'{"id":"evt_1","type":"ping"}'
    signature = hmac.new(b"whsec_key", b"1700000000." + body, "sha256").hexdigest()
    return Vector("stripe", "whsec_key", body, {"stripe-signature": f"t=1700000000,v1={signature}"}, SENT)


NAMED = {
    "github": VECTORS["github"].with_header("x-github-delivery", "72d3162e"),
    "slack": VECTORS["slack"],
    "stripe": stripe_event(),
    "standard-webhooks": VECTORS["standard-webhooks"],
    "relaybox": relaybox_at("2023-11-14T22:13:20Z"),
}
each_named = pytest.mark.parametrize("vector", NAMED.values(), ids=NAMED)


@each_named
def test_a_copy_of_an_accepted_delivery_is_a_replay(vector: Vector) -> None:
    gate = Gate(vector)
    assert gate.deliver(id="log-1") == "verified"
    assert gate.deliver(id="log-2") == "replayed"
    assert gate.deliver(id="log-3", input_id="another input of the bucket") == "replayed"


@each_named
def test_a_copy_of_what_was_never_accepted_is_none(vector: Vector) -> None:
    gate = Gate(vector)
    assert gate.judge(vector.webhook(id="log-1")) == "verified"
    assert gate.deliver(id="log-2") == "verified"
    assert gate.deliver(id="log-3") == "replayed"


@each_named
def test_a_forgery_under_the_same_id_takes_no_place(vector: Vector) -> None:
    gate = Gate(vector)
    header = next(iter(vector.headers))
    forged = {name: (value,) for name, value in vector.headers.items()} | {header: ("v0=sha256=x",)}
    assert gate.deliver(headers=forged) in {"bad-signature", "malformed-header"}
    assert len(gate.replays) == 0
    assert gate.deliver() == "verified"


@each_named
def test_several_routes_and_several_outputs_are_no_replays(vector: Vector) -> None:
    gate = Gate(vector)
    webhook = vector.webhook(id="log-1", output="first")
    assert [gate.judge(webhook), gate.judge(webhook)] == ["verified", "verified"]
    assert gate.deliver(id="log-1", output="first") == "verified"
    assert gate.deliver(id="log-2", output="second") == "verified"
    assert gate.deliver(id="log-3", output="first", bucket_id="another bucket") == "verified"
    assert gate.deliver(id="log-4", output="second") == "replayed"


@each_named
def test_replays_pass_where_the_verifier_does_not_mind(vector: Vector) -> None:
    gate = Gate(vector, refuse_replays=False)
    assert [gate.deliver(id="log-1"), gate.deliver(id="log-2")] == ["verified", "verified"]
    assert len(gate.replays) == 0


def test_replays_pass_once_a_reload_allows_them() -> None:
    gate = Gate(VECTORS["slack"])
    assert [gate.deliver(id="log-1"), gate.deliver(id="log-2")] == ["verified", "replayed"]
    gate.verifier = VECTORS["slack"].verifier(refuse_replays=False)
    assert gate.deliver(id="log-2") == "verified"


def test_a_copy_found_long_after_is_still_a_replay() -> None:
    gate = Gate(VECTORS["standard-webhooks"])
    assert gate.deliver(id="log-1") == "verified"
    sent_at = VECTORS["standard-webhooks"].sent_at
    assert gate.deliver(id="log-2", late=True, received_at=sent_at + 100.0) == "replayed"


def test_an_id_that_is_missing_is_no_replay() -> None:
    gate = Gate(VECTORS["github"])
    assert [gate.deliver(id="log-1"), gate.deliver(id="log-2")] == ["verified", "verified"]


@each_named
def test_the_same_frame_again_is_no_replay(vector: Vector) -> None:
    gate = Gate(vector)
    assert [gate.deliver(id="log-1"), gate.deliver(id="log-1")] == ["verified", "verified"]
    assert [gate.deliver(id="log-2"), gate.deliver(id="log-2")] == ["replayed", "replayed"]
    assert gate.deliver(id="log-1") == "verified"


@each_named
def test_without_log_ids_no_frame_is_known_for_the_same(vector: Vector) -> None:
    gate = Gate(vector)
    assert [gate.deliver(id=""), gate.deliver(id="")] == ["verified", "replayed"]


def test_an_id_belongs_to_its_verifier() -> None:
    cache, webhook, copy = ReplayCache(), VECTORS["github"].webhook(), VECTORS["github"].webhook(id="log-2")
    cache.remember("one", webhook, "a")
    assert cache.seen("one", copy, "a")
    assert not cache.seen("other", copy, "a")
    assert not cache.seen("one", copy, "b")


def test_the_number_of_ids_is_bounded_and_the_oldest_gives_way() -> None:
    cache, webhook = ReplayCache(most=3), VECTORS["github"].webhook()
    for sender_id in ("a", "b", "c", "b", "d"):
        cache.remember("gate", webhook, sender_id)
    assert len(cache) == 3
    copy = VECTORS["github"].webhook(id="log-2")
    assert [cache.seen("gate", copy, sender_id) for sender_id in "abcd"] == [False, True, True, True]


def test_an_id_can_hold_anything() -> None:
    cache, webhook, copy = ReplayCache(), VECTORS["github"].webhook(), VECTORS["github"].webhook(id="log-2")
    for sender_id in ("\ud800", "x" * 1_000_000, "a\x00b"):
        cache.remember("gate", webhook, sender_id)
        assert cache.seen("gate", copy, sender_id)
