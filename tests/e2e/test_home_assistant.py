"""A real Home Assistant finds the bridge, follows its routes, and hears its webhooks.

It needs an environment of its own, half a gigabyte of it, and is left out without it:

    python3.13 -m venv ha
    ha/bin/pip install homeassistant==2026.2.3 paho-mqtt==2.1.0
    HOME_ASSISTANT_PYTHON=ha/bin/python .venv/bin/python -m pytest tests/e2e/test_home_assistant.py
"""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from tests.e2e.test_status_topics import Rig, rewrite, rig, routes
from tests.support.home_assistant import PYTHON, HomeAssistant, home_assistant
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.skipif(PYTHON is None, reason="HOME_ASSISTANT_PYTHON names no interpreter")

PAGE = Path(__file__).parent.parent.parent / "docs" / "home-assistant.md"
STATUS = "discovery: homeassistant, commands: true"


def of_the_bridge(states: Iterable[str]) -> set[str]:
    return {name for name in states if "relay_bridge" in name}


async def all_become(ha: HomeAssistant, state: str) -> None:
    """Every entity of the bridge has this state, or (where it isn't `unavailable`) any other than that."""

    async def found() -> bool:
        states = await ha.states()
        own = {states[name]["state"] for name in of_the_bridge(states)}
        return own == {state} if state == "unavailable" else bool(own) and "unavailable" not in own

    await eventually_async(found, 30, every=0.1)


async def appears(ha: HomeAssistant, entity: str) -> None:
    async def found() -> bool:
        return entity in await ha.states()

    await eventually_async(found, 30, every=0.1)


async def fires(it: Rig, ha: HomeAssistant, entity: str, event: str, expected: str) -> None:
    """A webhook of this kind sets the event entity's type."""
    before = (await ha.states())[entity]["state"]
    await it.ring(X_GitHub_Event=event)

    async def found() -> bool:
        state = (await ha.states())[entity]
        return bool(state["state"] != before and state["attributes"]["event_type"] == expected)

    await eventually_async(found, 30, every=0.1)


async def test_entities_appear_events_fire_and_what_goes_leaves_no_ghost(tmp_path: Path) -> None:
    async with rig(tmp_path, STATUS, routes("ring", "bell")) as it:
        async with home_assistant(tmp_path / "ha", it.broker.plain_port) as ha:
            await appears(ha, "event.relay_bridge_pi_bell")
            await ha.state("binary_sensor.relay_bridge_pi_relay", "on")
            await ha.state("binary_sensor.relay_bridge_pi_problem", "off")
            assert of_the_bridge(await ha.states()) == {
                *(f"sensor.relay_bridge_pi_{one}" for one in ("webhooks", "delivered", "dead_letters")),
                *(f"sensor.relay_bridge_pi_{one}" for one in ("queue", "last_webhook")),
                *(f"binary_sensor.relay_bridge_pi_{one}" for one in ("relay", "problem")),
                *(f"event.relay_bridge_pi_{one}" for one in ("ring", "bell")),
                "button.relay_bridge_pi_reload_routes",
            }

            # A type that is heard for the first time is `other` there, and its own word from then on.
            await fires(it, ha, "event.relay_bridge_pi_ring", "push", "other")

            async def declared() -> bool:
                types = (await ha.states())["event.relay_bridge_pi_ring"]["attributes"]["event_types"]
                return "push" in types

            await eventually_async(declared, 30, every=0.1)
            await fires(it, ha, "event.relay_bridge_pi_ring", "push", "push")
            await ha.state("sensor.relay_bridge_pi_webhooks", "2")
            assert (await ha.states())["sensor.relay_bridge_pi_last_webhook"]["state"] != "unknown"

            rewrite(it.bridge, "name: bell", "name: gong")
            await ha.ask("press", entity="button.relay_bridge_pi_reload_routes")
            await appears(ha, "event.relay_bridge_pi_gong")

            async def removed() -> bool:
                shown, known = await ha.states(), await ha.entities()
                return "event.relay_bridge_pi_bell" not in shown and "relay_bridge_pi_event_bell" not in known

            await eventually_async(removed, 30, every=0.1)

            await it.bridge.kill()
            await all_become(ha, "unavailable")
            await it.bridge.start()
            await all_become(ha, "available")

        # Home Assistant starts again while the bridge runs.
        async with home_assistant(tmp_path / "ha", it.broker.plain_port) as ha:
            await all_become(ha, "available")
            await fires(it, ha, "event.relay_bridge_pi_ring", "push", "push")
            rewrite(it.bridge, "status: {", "# status: {")
            await ha.ask("press", entity="button.relay_bridge_pi_reload_routes")

            async def cleared() -> bool:
                return not of_the_bridge(await ha.states())

            await eventually_async(cleared, 30, every=0.1)
            assert not [one for one in await ha.entities() if one.startswith("relay_bridge")]
        log = (tmp_path / "ha" / "core.log").read_text()
        assert re.findall(r"^(?:WARNING|ERROR):homeassistant\.components\.mqtt.*", log, re.MULTILINE) == []


async def test_the_automation_of_the_docs_runs(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(alias:.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    automation = yaml.safe_load(text)
    async with (
        rig(tmp_path, STATUS, routes("doorbell")) as it,
        home_assistant(tmp_path / "ha", it.broker.plain_port, automation) as ha,
    ):
        await appears(ha, "event.relay_bridge_pi_doorbell")
        await ha.state("binary_sensor.relay_bridge_pi_relay", "on")  # so it is subscribed, too
        await it.ring()

        async def notified() -> bool:
            return "A webhook came by the bucket doorbell" in await ha.ask("notifications")

        await eventually_async(notified, 30, every=0.1)
