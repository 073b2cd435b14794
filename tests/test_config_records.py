from typing import Any

import pytest

from bridge.config.nodes import parse
from bridge.config.problems import Problems, Source
from bridge.config.reader import Invalid, Reader
from bridge.config.records import Fields, Key, Record, Tagged
from bridge.config.secrets import Secrets
from bridge.config.shapes import Integer, String

CAT = Record(
    "cat",
    (
        Key("name", String(), "What it is called."),
        Key("lives", Integer(0, 9), "What it has left.", 9),
    ),
)
DOG = Record("dog", (Key("bark", String(), "How it sounds."),))


def read(text: str, shape: Any = CAT) -> tuple[Any, list[str]]:
    problems = Problems()
    root = parse(Source("f", text), problems)
    assert root is not None
    try:
        value = shape.read(root, Reader(problems, Secrets(environment={})))
    except Invalid:
        value = Invalid
    return value, [
        f"{p.line}:{p.column} {p.code.number} {p.message} {p.help or ''}".rstrip() for p in problems
    ]


def test_given_values_and_defaults() -> None:
    fields, problems = read("name: Tom")
    assert problems == []
    assert dict(fields) == {"name": "Tom", "lives": 9}
    assert fields.given("name")
    assert not fields.given("lives")
    assert fields.node_of("name").column == 7
    assert fields.node_of("lives") is fields.node
    assert fields.without("name") == {"lives": 9}


def test_every_mistake_of_a_record_is_named() -> None:
    fields, problems = read("lifes: 3\nlives: x\n")
    assert problems == [
        "1:1 E0102 unknown key 'lifes' in cat did you mean 'lives'?",
        "1:1 E0103 the key 'name' is missing",
        "2:8 E0101 expected a whole number from 0 to 9, found the text 'x'",
    ]
    with pytest.raises(Invalid):
        fields["lives"]
    with pytest.raises(Invalid):
        fields["name"]
    assert "lives" in fields
    assert fields.usable("lives", 1) == 1


def test_a_record_that_is_left_out() -> None:
    fields, _ = read("name: Tom")
    absent = CAT.absent(fields.node)
    assert isinstance(absent, Fields)
    assert absent["lives"] == 9
    assert not absent.given("lives")


def test_records_told_apart_by_a_key() -> None:
    pets = Tagged("a pet", (("name", CAT), ("bark", DOG)))
    fields, problems = read("bark: wuff", pets)
    assert (dict(fields), problems) == ({"bark": "wuff"}, [])
    assert read("nme: Tom", pets)[1] == [
        "1:1 E0103 a pet is a mapping with `name:` or `bark:` did you mean 'name'?"
    ]
    assert read("name: Tom\nbark: wuff", pets)[1] == [
        "1:1 E0105 a pet has either 'name' or 'bark' make two list items of it"
    ]
