"""The interface's own description, and what programs that believe it find."""

import asyncio
import json
from collections.abc import Coroutine, Iterator
from threading import Thread
from typing import Any, TypeVar

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bridge.selfhosted import hashes
from bridge.selfhosted.api.document import openapi
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.relay_clients import TOKEN, interface, post, running, settings_of

T = TypeVar("T")

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
SCHEMA = schemathesis.openapi.from_file(openapi().decode())
CREDENTIALS = (TOKEN.key, TOKEN.secret.reveal())
known: dict[str, str] = {}
"""Names of things that are there, by the path parameter that can say them."""


@SCHEMA.hook("map_path_parameters")
def ask_for_what_is_there(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Random names are nearly always unknown: half of them become known ones."""
    if path_parameters is None:
        return None
    return {
        name: known.get(name, value) if len(str(value)) % 2 else value
        for name, value in path_parameters.items()
    }


async def _furnish(relay: SelfHostedRelay) -> None:
    await post(relay, "a", "1", "2")
    async with interface(relay) as http:
        for _ in range(3):  # some get deleted
            async with http.post("/v1/buckets", json={"name": "made"}) as made:
                bucket = await made.json()
            if made.status == 201:
                output = {"name": "out", "destination": "http://127.0.0.1:1/", "internal": True}
                await http.post(f"/v1/buckets/{bucket['id']}/outputs", json=output)
        async with http.get("/v1/logs") as answer:
            entries = (await answer.json())["data"]
        async with http.post("/v1/tokens", json={}) as answer:
            token = (await answer.json())["key"]
    known.update(bucket="made", part="Default public endpoint", id=entries[0]["id"], token=token)


@pytest.fixture(name="base", scope="module")
def _base() -> Iterator[str]:
    """URL of a relay in a thread of its own: schemathesis is synchronous."""
    patch = pytest.MonkeyPatch()
    patch.setattr(hashes, "COST", 4)
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    def wait(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    relay = wait(_started())
    try:
        wait(_furnish(relay))
        yield relay.url
        assert wait(_is_well(relay))
    finally:
        wait(relay.close())
        wait(loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        patch.undo()


async def _started() -> SelfHostedRelay:
    relay = SelfHostedRelay(settings_of("a", "b"))
    await relay.start()
    return relay


async def _is_well(relay: SelfHostedRelay) -> bool:
    async with aiohttp.ClientSession(relay.url) as http, http.get("/healthz") as answer:
        return answer.status == 200


@SCHEMA.parametrize()
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_operation_does_what_is_said_of_it(case: "schemathesis.Case[Any]", base: str) -> None:
    case.call_and_validate(base_url=base, auth=CREDENTIALS, checks=CHECKS)


async def test_it_is_served_to_everybody_and_describes_every_operation() -> None:
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        async with http.get(f"{relay.url}/v1/openapi.json") as answer:
            assert answer.status == 200
            described = await answer.json()
        served = relay.operations
    assert described == json.loads(openapi())
    operations = {
        (method.upper(), path)
        for path, item in described["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert operations == {one for one in served if one[1] not in ("/v1/socket", "/v1/openapi.json")}
