"""Limits on guessing: by address, within bounded memory, and without harm to others."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_network

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from bridge.secret import Secret
from bridge.selfhosted import attempts
from bridge.selfhosted.attempts import Attempts
from bridge.selfhosted.gate import ATTEMPTS
from bridge.selfhosted.resources import Auth, Bucket, Rate, Settings
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.relay_clients import TOKEN, heard, opened, running, say, settings_of

RATE = Rate(3, 30.0)


def test_so_many_at_once_and_then_evenly() -> None:
    tried = Attempts(RATE)
    for _ in range(3):
        assert tried.wait("192.0.2.1", 100.0) == 0.0
        tried.failed("192.0.2.1", 100.0)
    assert tried.wait("192.0.2.1", 100.0) == 10.0
    assert tried.wait("192.0.2.1", 109.0) == 1.0
    assert tried.wait("192.0.2.1", 110.0) == 0.0
    tried.failed("192.0.2.1", 110.0)
    assert tried.wait("192.0.2.1", 110.0) == 10.0
    assert tried.wait("192.0.2.2", 110.0) == 0.0, "somebody else"


def test_what_was_under_way_at_the_same_time_counts_too() -> None:
    tried = Attempts(RATE)
    for _ in range(50):
        tried.failed("192.0.2.1", 100.0)
    assert tried.wait("192.0.2.1", 100.0) == 480.0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("a 192.0.2.1", "b 192.0.2.1", False),
        ("a 2001:db8::1", "a 2001:db8::2", True),
        ("", "192.0.2.1", False),
        ("2001:db8::1%eth0", "2001:db8::2", True),
    ],
)
def test_who_is_the_same(one: str, other: str, *, same: bool) -> None:
    tried = Attempts(Rate(1, 10.0))
    tried.failed(one, 0.0)
    assert (tried.wait(other, 0.0) > 0) == same


def test_memory_is_bounded_and_who_failed_last_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST", 10)
    tried = Attempts(Rate(1, 1e6))
    for number in range(100):
        tried.failed("192.0.2.99", 0.0)
        tried.failed(f"198.51.100.{number}", 0.0)
    assert tried.wait("192.0.2.99", 0.0) > 0
    remembered = [number for number in range(100) if tried.wait(f"198.51.100.{number}", 0.0)]
    assert remembered == list(range(91, 100))


@given(st.lists(st.floats(0, 100), max_size=60))
def test_never_more_than_the_rate_allows(pauses: list[float]) -> None:
    """Of attempts one after the other, in any stretch of its time at most twice as many as the rate says."""
    tried = Attempts(RATE)
    now, made = 0.0, []
    for pause in pauses:
        now += pause
        if not tried.wait("192.0.2.1", now):
            tried.failed("192.0.2.1", now)
            made.append(now)
    for start in made:
        assert sum(start <= one < start + RATE.seconds for one in made) <= 2 * RATE.count


# At a relay: clients are told apart by what a trusted proxy says of them.


def behind_a_proxy() -> Settings:
    guarded = replace(Bucket.named("guarded"), auth=Auth(None, Secret("hook")))
    return replace(settings_of("a", guarded), trusted_proxies=(ip_network("127.0.0.1"),))


def as_client(number: int, scheme: str = "", value: str = "") -> dict[str, str]:
    return {"X-Forwarded-For": f"192.0.2.{number}"} | (
        {"Authorization": f"{scheme} {value}"} if scheme else {}
    )


def basic(secret: str) -> str:
    return base64.b64encode(f"{TOKEN.key}:{secret}".encode()).decode()


async def asked(
    relay: SelfHostedRelay, headers: Mapping[str, str], path: str = "/v1/buckets"
) -> tuple[int, str]:
    async with aiohttp.ClientSession(relay.url) as http, http.get(path, headers=headers) as answer:
        return answer.status, answer.headers.get("Retry-After", "")


async def test_who_guesses_has_to_wait_and_nobody_else() -> None:
    async with running(behind_a_proxy()) as relay:
        for number in range(ATTEMPTS.count):
            assert await asked(relay, as_client(1, "Bearer", str(number))) == (401, "")
        status, wait = await asked(relay, as_client(1, "Bearer", "x"))
        assert status == 429
        assert 1 <= int(wait) <= 2
        right = TOKEN.secret.reveal()
        assert (await asked(relay, as_client(1, "Basic", basic(right))))[0] == 429, "it can't go on guessing"
        assert (await asked(relay, as_client(2, "Basic", basic(right))))[0] == 200
        with pytest.raises(InvalidStatus, match="429"):
            await opened(relay, additional_headers=as_client(1))
        client = await opened(relay, additional_headers=as_client(2))
        await say(client, {"action": "auth", "key": TOKEN.key, "secret": right})
        assert (await heard(client))["status"] == "authenticated"
        await client.close()


async def test_guesses_over_the_socket_count_for_the_interface() -> None:
    async with running(behind_a_proxy()) as relay:
        early = await opened(relay, additional_headers=as_client(1))
        for number in range(ATTEMPTS.count):
            client = await opened(relay, additional_headers=as_client(1))
            await say(client, {"action": "auth", "key": TOKEN.key, "secret": str(number)})
            assert (await heard(client))["status"] == "unauthorized"
            await client.wait_closed()
        assert (await asked(relay, as_client(1, "Bearer", "x")))[0] == 429
        await say(early, {"action": "auth", "key": TOKEN.key, "secret": TOKEN.secret.reveal()})
        await early.wait_closed()
        assert (early.close_code, early.close_reason) == (1013, "too many wrong credentials")


async def test_guesses_of_a_buckets_credentials_are_limited_for_that_bucket() -> None:
    async with running(behind_a_proxy()) as relay:
        guarded, other = (relay.webhook_url(name).removeprefix(relay.url) for name in ("guarded", "a"))
        for number in range(ATTEMPTS.count):
            assert (await asked(relay, as_client(1, "Bearer", str(number)), guarded))[0] == 401
        assert (await asked(relay, as_client(1, "Bearer", "hook"), guarded))[0] == 429
        assert (await asked(relay, as_client(2, "Bearer", "hook"), guarded))[0] == 200
        assert (await asked(relay, as_client(1), guarded))[0] == 401, "nothing was guessed"
        assert (await asked(relay, as_client(1), other))[0] == 200
        right = basic(TOKEN.secret.reveal())
        assert (await asked(relay, as_client(1, "Basic", right)))[0] == 200, "a token is something else"


async def test_asking_without_credentials_is_no_guess() -> None:
    async with running(behind_a_proxy()) as relay:
        for _ in range(ATTEMPTS.count + 5):
            assert (await asked(relay, as_client(1)))[0] == 401
        right = basic(TOKEN.secret.reveal())
        assert (await asked(relay, as_client(1, "Basic", right)))[0] == 200
