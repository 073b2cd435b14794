"""What is remembered of earlier publications."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.home.discovery import MOST_TYPES
from bridge.home.memory import MOST_GONE, Memory


def test_a_note_brings_it_all_back() -> None:
    memory = Memory("127.0.0.1:1883", ["a/status"], {"event_x": "event"}, {"x": ["push"]}, 7)
    assert Memory.read(memory.note()) == memory


@pytest.mark.parametrize("note", [None, b"", b"{", b"[]", b"5", b'{"strange": 1}'])
def test_a_strange_note_is_no_memory(note: bytes | None) -> None:
    assert Memory.read(note) == Memory()


def test_entities_that_are_gone_are_remembered_until_they_return() -> None:
    memory = Memory()
    both = {"event_a": {"p": "event"}, "event_b": {"p": "event"}}
    assert memory.gone(both) == {}
    assert memory.gone({"event_b": {"p": "event"}}) == {"event_a": "event"}
    assert memory.gone({"event_b": {"p": "event"}}) == {"event_a": "event"}
    assert memory.gone(both) == {}
    assert memory.gone({}) == {"event_a": "event", "event_b": "event"}


@given(st.lists(st.sets(st.integers(0, 200), max_size=100), max_size=20))
def test_the_memory_is_bounded_and_forgets_no_live_entity(generations: list[set[int]]) -> None:
    memory = Memory()
    for generation in generations:
        live = {f"event_{number}": {"p": "event"} for number in generation}
        gone = memory.gone(live)
        assert len(gone) <= MOST_GONE
        assert not gone.keys() & live.keys()
        assert memory.components.keys() == live.keys() | gone.keys()


def test_types_are_learned_once_and_only_harmless_ones() -> None:
    memory = Memory()
    assert memory.learn("a", "push")
    assert not memory.learn("a", "push")
    assert not memory.learn("a", "it's {{ evil }}")
    assert not memory.learn("a", "x" * 65)
    for number in range(100):
        memory.learn("a", f"type-{number}")
    assert len(memory.known(["a"])["a"]) == MOST_TYPES
    assert memory.known(["b"]) == {"b": []}
    assert memory.types == {"b": []}
