"""docs/home-assistant.md: its entities, attributes and links are those of the bridge."""

import re
from pathlib import Path

from bridge.home.digest import event
from bridge.home.discovery import Device
from bridge.home.topics import Topics
from bridge.passages import Passages
from bridge.routing.table import Routed
from tests.e2e import test_home_assistant
from tests.support.deliveries import webhook

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "home-assistant.md").read_text()


def test_the_entities_are_those_that_home_assistant_is_told_of() -> None:
    (table,) = re.findall(r"^\| entity .*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    named = [row.split("|")[1].strip() for row in table.splitlines()]
    assert named.pop() == "one for each route"
    told = Device("pi", Topics("relay-bridge/pi"), "homeassistant", commands=True).components({})
    assert {name for row in named for name in row.split(", ")} == {one["name"] for one in told.values()}


def test_the_attributes_are_those_of_an_event() -> None:
    (said,) = re.findall(r"The event's attributes are (.*?)\. ", PAGE, re.DOTALL)
    passages = Passages()
    passages.taken(webhook(), Routed((), ("ring",)))
    told = event(next(iter(passages)), "ring").keys() - {"event_type"}
    assert set(re.findall(r"`(\w+)`", said)) == told


def test_the_links_lead_somewhere() -> None:
    for page, anchor in re.findall(r"\]\(([\w-]+\.md)#?([\w-]*)\)", PAGE):
        titles = re.findall(r"^#+ (.+)$", (DOCS / page).read_text(), re.MULTILINE)
        assert not anchor or anchor in {title.lower().replace(" ", "-") for title in titles}


def test_the_real_home_assistant_is_asked_as_the_page_says() -> None:
    (commands,) = re.findall(r"^```sh\n(python3.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    described = [line.strip() for line in (test_home_assistant.__doc__ or "").splitlines()]
    assert set(commands.splitlines()) <= set(described)
