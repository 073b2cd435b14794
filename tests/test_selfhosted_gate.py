import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from bridge.secret import Secret
from bridge.selfhosted import hashes
from bridge.selfhosted.gate import ATTEMPTS, MOST_OF_ONE, MOST_WAITING, Gate, GateBusy, TooManyAttempts
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Token
from bridge.selfhosted.shelf import Shelf

HERE = "198.51.100.1"
PI = Token("pi", Secret("s3cr3t"))


@pytest.fixture(name="registry")
def _registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(hashes, "COST", 4)
    return Registry([PI], [], Shelf(None))


@pytest.fixture(name="gate")
async def _gate(registry: Registry) -> AsyncIterator[Gate]:
    gate = Gate(registry)
    yield gate
    gate.close()


async def test_declared_and_made_tokens_are_let_in(gate: Gate, registry: Registry) -> None:
    made, secret = registry.create_token({})
    for _ in range(2):
        assert await gate.admit("pi", Secret("s3cr3t"), HERE) == PI
        assert await gate.admit(made.key, Secret(secret), HERE) == made
        for key, wrong in (
            ("pi", secret),
            (made.key, "s3cr3t"),
            ("nobody", secret),
            (made.key, ""),
            ("", ""),
        ):
            assert await gate.admit(key, Secret(wrong), HERE) is None


async def test_a_token_that_is_changed_counts_at_once(gate: Gate, registry: Registry) -> None:
    made, secret = registry.create_token({})
    assert await gate.admit(made.key, Secret(secret), HERE) is not None
    registry.update_token(made.key, {"active": False})
    assert await gate.admit(made.key, Secret(secret), HERE) is None
    registry.update_token(made.key, {"active": True, "scopes": {"buckets": ["b"]}})
    found = await gate.admit(made.key, Secret(secret), HERE)
    assert found is not None
    assert found.buckets == frozenset({"b"})
    registry.remove_token(made.key)
    assert await gate.admit(made.key, Secret(secret), HERE) is None


async def test_a_storm_of_returning_clients_costs_one_check(
    gate: Gate, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "COST", 10)
    made, secret = registry.create_token({})
    began = time.process_time()
    found = await asyncio.gather(*(gate.admit(made.key, Secret(secret), HERE) for _ in range(500)))
    assert set(found) == {made}
    assert time.process_time() - began < 5, "500 checks of 50 ms would be 25 s"


async def test_too_many_different_credentials_are_told_to_come_back(gate: Gate, registry: Registry) -> None:
    registry.create_token({})
    asked = (gate.admit("x", Secret(str(number)), f"192.0.2.{number}") for number in range(MOST_WAITING + 1))
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert found[:-1] == [None] * MOST_WAITING
    assert isinstance(found[-1], GateBusy)


async def test_a_flood_from_one_address_leaves_room_for_others(gate: Gate, registry: Registry) -> None:
    made, secret = registry.create_token({})
    flood = [asyncio.create_task(gate.admit("x", Secret(str(number)), HERE)) for number in range(500)]
    await asyncio.sleep(0)
    assert await gate.admit(made.key, Secret(secret), "192.0.2.1") == made
    found = await asyncio.gather(*flood, return_exceptions=True)
    assert found[:MOST_OF_ONE] == [None] * MOST_OF_ONE
    assert all(isinstance(one, GateBusy) for one in found[MOST_OF_ONE:])
    with pytest.raises(TooManyAttempts) as caught:
        await gate.admit(made.key, Secret(secret), HERE)
    assert caught.value.retry_after > ATTEMPTS.seconds, "those that ran at the same time count too"


async def test_who_leaves_before_the_answer_has_made_an_attempt(gate: Gate, registry: Registry) -> None:
    registry.create_token({})
    for number in range(ATTEMPTS.count):
        guess = asyncio.create_task(gate.admit("x", Secret(str(number)), HERE))
        await asyncio.sleep(0)
        guess.cancel()
        await asyncio.wait([guess])
    with pytest.raises(TooManyAttempts):
        await gate.admit("x", Secret("y"), HERE)


async def test_right_wrong_and_unknown_take_the_same_time(
    gate: Gate, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are compared to a hash, where one that is not would be a thousand times as fast."""
    monkeypatch.setattr(hashes, "COST", 8)
    made = [registry.create_token({}) for _ in range(7)]
    await gate.admit("warm up", Secret("x"), HERE)
    times: dict[str, list[float]] = {"right": [], "wrong": [], "unknown": []}
    for number, (token, secret) in enumerate(made):
        shown = {
            "right": (token.key, secret),
            "wrong": (token.key, f"{number}"),
            "unknown": (f"{number}", "x"),
        }
        for what, (key, said) in shown.items():
            began = time.perf_counter()
            found = await gate.admit(key, Secret(said), f"192.0.2.{number}")
            times[what].append(time.perf_counter() - began)
            assert (found is not None) == (what == "right")
    fastest = [min(one) for one in times.values()]
    assert max(fastest) / min(fastest) < 2.5
