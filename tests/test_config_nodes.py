import math
from typing import Any

import pytest
import yaml

from bridge.config.nodes import DEEPEST, FAST_LOADER, MOST_NODES, Mapping, Node, Scalar, Sequence, parse
from bridge.config.problems import Problems, Source

LOADERS = [pytest.param(FAST_LOADER, id="fast"), pytest.param(yaml.SafeLoader, id="pure")]


def tree(text: str, loader: Any = FAST_LOADER) -> tuple[Mapping | None, list[str]]:
    problems = Problems()
    root = parse(Source("f", text), problems, loader=loader)
    return root, [f"{p.line}:{p.column} {p.code.number} {p.message}" for p in problems]


def value_of(node: Node) -> Any:
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [value_of(item) for item in node.items]
        case Mapping():
            return {key: value_of(value) for key, (_, value) in node.entries.items()}
    return "broken"


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("written", "value"),
    [
        # YAML 1.1 would have made something else of these.
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("2024-01-31", "2024-01-31"),
        ("010", 10),
        ("0123", 123),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("0x1F", 31),
        ("0o17", 15),
        ("=", "="),
        # And these are what they look like.
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("", None),
        ("-5", -5),
        ("+5", 5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        ("3.1.1", "3.1.1"),
        ("15s", "15s"),
        ("-", "-"),
        ("+1-555", "+1-555"),
        ('"5"', "5"),
        ("'true'", "true"),
        ('""', ""),
        ("|\n  a\n  b", "a\nb\n"),
        (">\n  a\n  b", "a b\n"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(loader: Any, written: str, value: object) -> None:
    if written == "-":  # alone it starts a list
        written = "[a, '-']"
        value = ["a", "-"]
    root, problems = tree(f"a: {written}\n", loader)
    assert problems == []
    assert root is not None
    found = value_of(root)["a"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    root, _ = tree("a: .nan")
    assert root is not None
    assert math.isnan(value_of(root)["a"])


@pytest.mark.parametrize("loader", LOADERS)
def test_every_node_knows_its_place(loader: Any) -> None:
    root, _ = tree('top:\n  - x: "é{"\n    y: [1, zwei]\n', loader)
    assert root is not None
    key, top = root.entries["top"]
    assert (key.line, key.column) == (1, 1)
    assert isinstance(top, Sequence)
    first = top.items[0]
    assert isinstance(first, Mapping)
    assert (first.line, first.column) == (2, 5)
    quoted, listed = first.entries["x"][1], first.entries["y"][1]
    assert isinstance(quoted, Scalar)
    assert (quoted.line, quoted.column) == (2, 8)
    assert quoted.at(1).column == 10  # the brace, behind the quote
    assert isinstance(listed, Sequence)
    assert (listed.items[1].line, listed.items[1].column) == (3, 12)


def test_a_place_in_a_text_of_several_lines_is_its_start() -> None:
    root, _ = tree("a: |\n  one\n  two\n")
    assert root is not None
    block = root.entries["a"][1]
    assert isinstance(block, Scalar)
    assert (block.at(5).line, block.at(5).column) == (1, 4)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["1:1 E0006 the file is empty"]),
        ("# only a comment\n", ["1:1 E0006 the file is empty"]),
        ("---\n", ["2:1 E0006 the file holds no mapping"]),
        ("just text", ["1:1 E0006 the file holds no mapping"]),
        ("- a\n- b", ["1:1 E0006 the file holds no mapping"]),
        ("a: 1\n---\nb: 2\n", ["2:1 E0008 a second document"]),
        ("a: 1\nb: 2\na: 3\n", ["3:1 E0007 duplicate key 'a'; it is first at line 1, column 1"]),
        ("x: {b: 1, 'b': 2}", ["1:11 E0007 duplicate key 'b'; it is first at line 1, column 5"]),
        ("a: &x 1\nb: *x", ["1:4 E0008", "2:4 E0008"]),
        ("a: &x [*x]", ["1:4 E0008", "1:8 E0008"]),
        ("a: !!python/object:os.system x", ["1:4 E0008"]),
        ("a: !custom {b: 1}", ["1:4 E0008"]),
        ("a:\n\tb: 1", ["2:1 E0005 a tab, which YAML does not allow here"]),
        ("a: {{ b }}", ["1:4 E0005 YAML reads an unquoted {{ as the start of a mapping"]),
        ("a: {{ b }}/c", ["1:4 E0005 YAML reads an unquoted {{ as the start of a mapping"]),
        ("- {a: b/{{ c }}, d: e}", ["1:7 E0005 YAML reads an unquoted {{ as the start of a mapping"]),
        ("a: {b: ${C}, d: e}", ["1:9 E0005 an unquoted ${…} inside of { } or [ ]"]),
        ("? [a, b]\n: c", ["1:3 E0005 a key must be text, not a mapping or a list"]),
        ('a: 1\nb: "open', ["2:4 E0005 found unexpected end of stream"]),
        ("a: b: c", ["1:5 E0005"]),
        ("a: @x", ["1:4 E0005"]),
        ("a: \x07", ["1:4 E0005 a control character"]),
        ("a: 1\nb: \ufeffx", ["2:4 E0005 a control character"]),
        ("a: " + "1" * 31, ["1:4 E0104 a number of more than 30 digits"]),
    ],
)
def test_what_is_refused(loader: Any, text: str, problems: list[str]) -> None:
    found = tree(text, loader)[1]
    assert len(found) == len(problems)
    assert all(line.startswith(start) for line, start in zip(found, problems, strict=True)), found


def test_what_is_refused_hides_no_other_mistake() -> None:
    _, found = tree("a: *x\nb: 1\nb: 2\nc: !t 3\n")
    assert [line.split()[:2] for line in found] == [["1:4", "E0008"], ["3:1", "E0007"], ["4:4", "E0008"]]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("unit", ["[", "{a: ", "- "])
def test_depth_is_limited(loader: Any, unit: str) -> None:
    _, problems = tree(unit * 100_000, loader)
    assert len(problems) == 1
    assert f"E0003 more than {DEEPEST} levels" in problems[0]


def test_the_number_of_nodes_is_limited() -> None:
    root, problems = tree("a: [" + "x," * MOST_NODES + "]")
    assert root is None
    assert f"E0003 more than {MOST_NODES} keys and values" in problems[0]


def test_an_alias_bomb_is_refused_and_not_expanded() -> None:
    bomb = "a0: &a0 [x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)
    )
    root, problems = tree(bomb)
    assert all("E0008" in line for line in problems)
    assert len(problems) == 20 + 19 * 9
    assert root is not None
    assert value_of(root)["a1"] == "broken"
