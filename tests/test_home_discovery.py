"""Home Assistant's discovery message: its rules are kept, whatever the routes and types are called."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from bridge.home.discovery import DECLARABLE, Device, removal
from bridge.home.health import health
from bridge.home.memory import Memory
from bridge.home.topics import Topics
from tests.support.home_assistant import SCHEMA
from tests.test_home_health import STATUS

TOPICS = Topics("relay-bridge/pi")
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


def device(node: str = "pi", *, commands: bool = True) -> Device:
    return Device(node, TOPICS, "homeassistant", commands=commands)


def rendered(template: str, value: Any) -> str:
    """As Home Assistant renders a value template, which has `to_json`."""
    environment = Environment(autoescape=False)  # noqa: S701  # it renders no page
    environment.filters["to_json"] = json.dumps
    return environment.from_string(template).render(value_json=value)


def test_the_message_is_retained_where_home_assistant_looks() -> None:
    assert device().topic == "homeassistant/device/relay_bridge_pi/config"
    assert device().birth_topic == "homeassistant/status"


@given(NAMES, st.dictionaries(NAMES, st.lists(st.text(max_size=70), max_size=5), max_size=5), st.booleans())
def test_every_message_keeps_the_rules(
    node: str, seen: dict[str, list[str]], commands: bool
) -> None:  # drawn
    memory = Memory()
    for route, types in seen.items():
        for one in types:
            memory.learn(route, one)
    made = Device(node, TOPICS, "homeassistant", commands=commands)
    components = made.components(memory.known(seen))
    payload = made.payload(components | {"event_old": removal("event")})
    VALIDATOR.validate(payload)
    unique = [one["unique_id"] for one in components.values()]
    assert len(set(unique)) == len(unique)
    assert all(name.startswith(f"relay_bridge_{node}_") for name in unique)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda payload: payload.pop("o"),
        lambda payload: payload["dev"].pop("ids"),
        lambda payload: payload["cmps"]["relay"].pop("unique_id"),
        lambda payload: payload["cmps"]["relay"].pop("p"),
        lambda payload: payload["cmps"]["event_a"].pop("evt_typ"),
        lambda payload: payload["cmps"].update({"a b": {"p": "event"}}),
        lambda payload: payload["cmps"]["relay"].update(strange=1),
    ],
)
def test_the_rules_find_what_is_wrong(wrong: Any) -> None:
    payload = device().payload(device().components({"a": ["push"]}))
    VALIDATOR.validate(payload)
    wrong(payload)
    assert not VALIDATOR.is_valid(payload)


def test_commands_make_the_button() -> None:
    assert device(commands=True).components({})["reload"]["cmd_t"] == "relay-bridge/pi/request/reload"
    assert "reload" not in device(commands=False).components({})


def test_the_templates_find_their_values_in_health() -> None:
    said = health(STATUS, 0.0)
    shown = {
        name: rendered(component["val_tpl"], said)
        for name, component in device().components({}).items()
        if "val_tpl" in component
    }
    assert shown == {
        "relay": "ON",
        "problem": "OFF",
        "webhooks": "12",
        "delivered": "9",
        "dead": "1",
        "queue": "3",
        "last_webhook": "1970-01-01T00:00:00Z",
    }
    problem = device().components({})["problem"]
    assert json.loads(rendered(problem["json_attr_tpl"], said)) == {"problems": []}


def test_no_webhook_yet_is_unknown_to_home_assistant() -> None:
    template = device().components({})["last_webhook"]["val_tpl"]
    assert rendered(template, health(STATUS, None)) == "None"


@given(st.lists(st.from_regex(DECLARABLE, fullmatch=True), max_size=5), st.text(max_size=70))
def test_an_event_keeps_its_type_or_is_other(known: list[str], event_type: str) -> None:
    component = device().components({"a": known})["event_a"]
    event = {"event_type": event_type, "id": "x", "bucket": "{{ 1 + 1 }}"}
    shown = json.loads(rendered(component["val_tpl"], event))
    expected = event_type if event_type in component["evt_typ"] else "other"
    assert shown == event | {"event_type": expected}
    assert shown["event_type"] in component["evt_typ"]


def test_what_is_gone_is_its_platform_alone() -> None:
    assert removal("event") == {"p": "event"}
    assert removal(device().components({})["relay"]) == {"p": "binary_sensor"}
