"""Runs a Home Assistant core with the MQTT integration, and answers requests on stdin: one JSON text a line.

Started by the interpreter of an environment of its own, which has nothing of the bridge:
`home_assistant_core.py FOLDER BROKER-PORT`; the folder holds `configuration.yaml`.
"""

import asyncio
import json
import logging
import sys
from importlib import import_module
from typing import Any

bootstrap: Any = import_module("homeassistant.bootstrap")
config_entries: Any = import_module("homeassistant.config_entries")
config: Any = import_module("homeassistant.config")
core: Any = import_module("homeassistant.core")
loader: Any = import_module("homeassistant.loader")
entity_registry: Any = import_module("homeassistant.helpers.entity_registry")
# Imported before the event loop runs, which would complain of it.
import_module("homeassistant.components.mqtt")


async def started(folder: str, port: int) -> Any:
    """A core that runs, connected to the broker."""
    hass = core.HomeAssistant(folder)
    hass.config.skip_pip = True
    loader.async_setup(hass)
    made = await bootstrap.async_from_config_dict(await config.async_hass_config_yaml(hass), hass)
    assert made is hass, "Home Assistant did not start"
    await hass.async_start()
    if not hass.config_entries.async_entries("mqtt"):
        flows = hass.config_entries.flow
        form = await flows.async_init("mqtt", context={"source": "user"})
        filled = await flows.async_configure(form["flow_id"], {"broker": "127.0.0.1", "port": port})
        assert filled["type"] == "create_entry", filled
    await hass.async_block_till_done()
    return hass


async def serve(hass: Any) -> None:
    """Answer requests until `stop`."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        print(json.dumps(await answer(hass, request), default=str), flush=True)  # noqa: T201  # that is its answer
        if request["do"] == "stop":
            break


async def answer(hass: Any, request: dict[str, Any]) -> Any:
    """What one request asks for."""
    match request["do"]:
        case "states":
            states = hass.states.async_all()
            return {one.entity_id: {"state": one.state, "attributes": dict(one.attributes)} for one in states}
        case "entities":
            return [one.unique_id for one in entity_registry.async_get(hass).entities.values()]
        case "press":
            await hass.services.async_call("button", "press", {"entity_id": request["entity"]}, blocking=True)
        case "notifications":
            return [one["message"] for one in hass.data["persistent_notification"].values()]
    return True


async def main(folder: str, port: str) -> None:
    """Run, answer, and stop in order."""
    hass = await started(folder, int(port))
    await serve(hass)
    await hass.async_stop(force=True)


logging.basicConfig(level=logging.WARNING)
asyncio.run(main(*sys.argv[1:]))
