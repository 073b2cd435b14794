"""Home Assistant's rules for discovery, and a real Home Assistant that can be asked what it made of it.

The rules are those of https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery and of the pages about
each platform; the keys' short forms are listed there, too.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.mosquitto import free_port
from tests.support.waiting import eventually_async

PYTHON: Final = os.environ.get("HOME_ASSISTANT_PYTHON")
"""The interpreter of an environment with `homeassistant` and the `paho-mqtt` of its MQTT integration."""

ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}
TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255}
TEMPLATE: Final = {"type": "string", "pattern": r"\{\{.*\}\}"}
PUBLISHED: Final = {"type": "string", "pattern": r"^[^+#\u0000]{1,65535}$"}
"""A topic without wildcards."""

_STATE: Final = {"stat_t": PUBLISHED, "val_tpl": TEMPLATE}
_COMMON: Final = {
    "p": TEXT,
    "name": TEXT,
    "unique_id": TEXT,
    "ent_cat": {"enum": ["config", "diagnostic"]},
    "json_attr_t": PUBLISHED,
    "json_attr_tpl": TEMPLATE,
}


def _platform(name: str, required: list[str], **keys: Any) -> dict[str, Any]:
    return {
        "if": {"properties": {"p": {"const": name}}, "minProperties": 2},
        "then": {
            "properties": {**_COMMON, **keys},
            "required": ["p", "name", "unique_id", *required],
            "additionalProperties": False,
        },
    }


_COMPONENT: Final = {
    "type": "object",
    "required": ["p"],
    "properties": {"p": {"enum": ["binary_sensor", "sensor", "button", "event"]}},
    "allOf": [
        _platform("binary_sensor", ["stat_t"], **_STATE, dev_cla={"enum": ["connectivity", "problem"]}),
        _platform(
            "sensor",
            ["stat_t"],
            **_STATE,
            dev_cla={"enum": ["timestamp"]},
            stat_cla={"enum": ["measurement", "total", "total_increasing"]},
        ),
        _platform("button", ["cmd_t"], cmd_t=PUBLISHED, pl_prs={"type": "string"}),
        _platform(
            "event",
            ["stat_t", "evt_typ"],
            **_STATE,
            evt_typ={"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True},
        ),
    ],
}

SCHEMA: Final = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["dev", "o", "cmps"],
    "additionalProperties": False,
    "properties": {
        "dev": {
            "type": "object",
            "required": ["ids", "name"],
            "additionalProperties": False,
            "properties": {
                "ids": {"type": "array", "items": TEXT, "minItems": 1},
                **dict.fromkeys(("name", "mf", "mdl", "sw"), TEXT),
            },
        },
        "o": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {"name": TEXT, "sw": TEXT, "url": {"type": "string", "format": "uri"}},
        },
        "availability": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["t"],
                "additionalProperties": False,
                "properties": {"t": PUBLISHED},
            },
        },
        "qos": {"enum": [0, 1, 2]},
        "cmps": {"type": "object", "propertyNames": ID, "additionalProperties": _COMPONENT},
    },
}
"""Of the payload of a device discovery; a component with nothing but its platform is to be removed."""


class HomeAssistant:
    """A Home Assistant core as a child process, with its MQTT integration connected to one broker."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def ask(self, what: str, **more: object) -> Any:
        """One request to `tests/support/home_assistant_core.py`."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
        async with asyncio.timeout(60):
            line = await stdout.readline()
        assert line, self._log.read_text()[-8000:]
        return json.loads(line)

    async def states(self) -> dict[str, dict[str, Any]]:
        """Every entity's state and attributes."""
        found: dict[str, dict[str, Any]] = await self.ask("states")
        return found

    async def entities(self) -> list[str]:
        """The unique IDs in the entity registry: what is there outlives a restart."""
        found: list[str] = await self.ask("entities")
        return found

    async def state(self, entity: str, expected: str, timeout: float = 30.0) -> dict[str, Any]:
        """The attributes of an entity, as soon as it has this state."""

        async def found() -> dict[str, Any] | None:
            state = (await self.states()).get(entity)
            return state["attributes"] | {"": ""} if state and state["state"] == expected else None

        attributes = await eventually_async(found, timeout, every=0.1)
        assert attributes is not None
        return attributes


@asynccontextmanager
async def home_assistant(folder: Path, port: int, *automations: Any) -> AsyncIterator[HomeAssistant]:
    """A Home Assistant whose broker listens on this port; it keeps what it knows in the folder."""
    assert PYTHON is not None
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    log = folder / "core.log"
    program = Path(__file__).with_name("home_assistant_core.py")
    own = {"server_host": "127.0.0.1", "server_port": free_port()}
    configuration = json.dumps({"http": own, "automation": list(automations)})
    await asyncio.to_thread((folder / "configuration.yaml").write_text, configuration)
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "-P", str(program), str(folder), str(port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        core = HomeAssistant(process, log)
        assert await core.ask("ready") is True
        yield core
        await core.ask("stop")
        async with asyncio.timeout(30):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
