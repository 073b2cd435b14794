"""A large routing file is edited: the change is soon applied, and the daemon serves meanwhile."""

import asyncio
import time
from pathlib import Path

from tests.support.process import BridgeProcess
from tests.support.relay import KEY, SECRET, scripted_relay

ROUTES = 1000
MOST_EDITS = 15
"""One of them has to be quick: other tests run on the same machine."""
MOST_SECONDS = 1.0
"""From the edit to the use of the file."""
MOST_BLOCKED = 0.5
"""The longest that the daemon answers nobody, as a part of that time."""

ROUTE = """\
  - name: r{number}
    match: {{bucket: doorbell, method: POST, body.door: "{number}", not: {{body.event: [test, ping]}}}}
    order: "{{{{ body.door }}}}"
    send:
      - mqtt: "home/{version}/d{number}/{{{{ body.event }}}}"
        payload: {{door: "{{{{ body.door }}}}", at: "{{{{ received_at }}}}"}}
      - http: "http://127.0.0.1:1/doors/{number}/{{{{ body.event }}}}"
"""


def routing(head: str, version: int) -> str:
    routes = (ROUTE.format(number=number, version=version) for number in range(ROUTES))
    return f"{head}routes:\n{''.join(routes)}"


async def edited(bridge: BridgeProcess, text: str, generation: int) -> tuple[float, float]:
    """Seconds from the edit until the file is used, and the longest that the daemon kept anybody waiting."""
    new = bridge.file.with_suffix(".new")
    await asyncio.to_thread(new.write_text, text)
    new.replace(bridge.file)
    start = time.monotonic()
    longest = 0.0
    while time.monotonic() < start + 30:
        asked = time.monotonic()
        configuration = (await bridge.ask("status"))["configuration"]
        answered = time.monotonic()
        longest = max(longest, answered - asked)
        if configuration["generation"] == generation:
            return answered - start, longest
        await asyncio.sleep(0.01)
    raise AssertionError(f"generation {generation} is not used")


async def test_a_file_of_a_thousand_routes_is_used_within_a_second_and_read_beside_the_event_loop(
    tmp_path: Path,
) -> None:
    async with scripted_relay() as relay:
        head = f"relay: {{url: '{relay.url}', key: {KEY}, secret: {SECRET}}}\nconsole: off\n"
        async with BridgeProcess(tmp_path / "bridge", routing(head, 0)) as bridge:
            first = (await bridge.ask("status"))["configuration"]["generation"]
            for version in range(1, MOST_EDITS + 1):
                seconds, longest = await edited(bridge, routing(head, version), first + version)
                if seconds < MOST_SECONDS and longest / seconds < MOST_BLOCKED:
                    break
            assert await bridge.stop() == 0
    assert seconds < MOST_SECONDS
    assert longest / seconds < MOST_BLOCKED, "it was read on the event loop"
