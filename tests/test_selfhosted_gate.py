import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from bridge.secret import Secret
from bridge.selfhosted import hashes
from bridge.selfhosted.gate import MOST_WAITING, Gate, GateBusy
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Token
from bridge.selfhosted.shelf import Shelf

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
        assert await gate.admit("pi", Secret("s3cr3t")) == PI
        assert await gate.admit(made.key, Secret(secret)) == made
        for key, wrong in (
            ("pi", secret),
            (made.key, "s3cr3t"),
            ("nobody", secret),
            (made.key, ""),
            ("", ""),
        ):
            assert await gate.admit(key, Secret(wrong)) is None


async def test_a_token_that_is_changed_counts_at_once(gate: Gate, registry: Registry) -> None:
    made, secret = registry.create_token({})
    assert await gate.admit(made.key, Secret(secret)) is not None
    registry.update_token(made.key, {"active": False})
    assert await gate.admit(made.key, Secret(secret)) is None
    registry.update_token(made.key, {"active": True, "scopes": {"buckets": ["b"]}})
    found = await gate.admit(made.key, Secret(secret))
    assert found is not None
    assert found.buckets == frozenset({"b"})
    registry.remove_token(made.key)
    assert await gate.admit(made.key, Secret(secret)) is None


async def test_a_storm_of_returning_clients_costs_one_check(
    gate: Gate, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "COST", 10)
    made, secret = registry.create_token({})
    began = time.process_time()
    found = await asyncio.gather(*(gate.admit(made.key, Secret(secret)) for _ in range(500)))
    assert set(found) == {made}
    assert time.process_time() - began < 5, "500 checks of 50 ms would be 25 s"


async def test_too_many_different_credentials_are_told_to_come_back(gate: Gate, registry: Registry) -> None:
    registry.create_token({})
    asked = (gate.admit("x", Secret(str(number))) for number in range(MOST_WAITING + 1))
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert found[:-1] == [None] * MOST_WAITING
    assert isinstance(found[-1], GateBusy)


async def test_a_wrong_secret_and_an_unknown_key_take_the_same_time(
    gate: Gate, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are compared to a hash, where one that is not would be a thousand times as fast."""
    monkeypatch.setattr(hashes, "COST", 8)
    made, _ = registry.create_token({})
    await gate.admit("warm up", Secret("x"))

    async def fastest(key: str) -> float:
        times = []
        for number in range(5):
            began = time.perf_counter()
            await gate.admit(key, Secret(str(number)))
            times.append(time.perf_counter() - began)
        return min(times)

    wrong, unknown = await fastest(made.key), await fastest("nobody")
    assert 0.4 < wrong / unknown < 2.5
