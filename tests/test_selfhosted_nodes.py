import pytest
import yaml

from bridge.selfhosted.nodes import Nodes, is_nothing


def node_of(text: str) -> yaml.Node:
    node = Nodes().parse(text)
    assert node is not None
    return node


@pytest.mark.parametrize(
    "word", ["on", "yes", "off", "No", "y", "text", "2024-01-01", "'5'", "'true'", "<<", "="]
)
def test_text_by_the_rules_of_yaml_1_2(word: str) -> None:
    nodes = Nodes()
    assert nodes.text(node_of(word)) == word.strip("'")
    assert nodes.problems == []


@pytest.mark.parametrize(
    "word", ["5", "0123", "12:30", "1.5", "true", "null", "~", "[a]", "{a: b}", "!x y", ".inf"]
)
def test_what_is_not_text(word: str) -> None:
    nodes = Nodes()
    assert nodes.text(node_of(word)) == ""
    assert "text is needed" in nodes.problems[0].message


def test_booleans() -> None:
    nodes = Nodes()
    assert nodes.boolean(node_of("true")) is True
    assert nodes.boolean(node_of("False")) is False
    assert nodes.problems == []
    for word in ("yes", "on", "1", "'true'"):
        nodes.boolean(node_of(word))
    assert len(nodes.problems) == 4


@pytest.mark.parametrize(
    "word", ["0x10", "010", "1_0", "1.0", "12:30", "'5'", "text", "[5]", "11", "-1", "1e1"]
)
def test_what_is_no_integer_up_to_ten(word: str) -> None:
    nodes = Nodes()
    assert nodes.integer(node_of(word), 0, 10) == 0
    assert len(nodes.problems) == 1


@pytest.mark.parametrize(("word", "seconds"), [("20ms", 0.02), ("15s", 15), ("5m", 300), ("1h", 3600)])
def test_durations(word: str, seconds: float) -> None:
    nodes = Nodes()
    assert nodes.duration(node_of(word), 0, 3600) == pytest.approx(seconds)
    assert nodes.problems == []


@pytest.mark.parametrize("word", ["15", "1.5s", "-1s", "s", "15 s", "2h", "[15s]", "1d"])
def test_what_is_no_duration_up_to_an_hour(word: str) -> None:
    nodes = Nodes()
    nodes.duration(node_of(word), 0, 3600)
    assert len(nodes.problems) == 1


def test_sizes() -> None:
    nodes = Nodes()
    assert [nodes.size(node_of(one), 0, 2**30) for one in ("7B", "64KiB", "3MiB")] == [7, 65536, 3145728]
    nodes.size(node_of("3MB"), 0, 2**30)
    assert [one.message for one in nodes.problems] == ["a size such as 64KiB or 3MiB is needed"]


def test_nothing() -> None:
    assert all(is_nothing(node_of(one)) for one in ("null", "~", "{}"))
    assert not any(is_nothing(node_of(one)) for one in ("''", "[]", "{a: }", "0"))
