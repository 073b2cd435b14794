import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConditionError
from bridge.routing.operators import NEGATIVE, POSITIVE

VALUES: list[object] = [None, True, False, 0, 1, 5, 5.0, 1.5, "", "5", "1", "true", "null", [], [1], {}]


def same(left: object, right: object) -> bool:
    """Equality as JSON has it."""

    def kind(value: object) -> object:
        return "number" if type(value) in {int, float} else type(value)

    return kind(left) == kind(right) and left == right


@pytest.mark.parametrize("expected", [value for value in VALUES if not isinstance(value, list | dict)])
def test_equality_is_strict(expected: object) -> None:
    equal = POSITIVE["eq"](expected)
    one_of_one = POSITIVE["in"]([expected])
    contained = POSITIVE["contains"](expected)
    for value in VALUES:
        assert equal(value) is same(value, expected), (value, expected)
        assert one_of_one(value) is same(value, expected), (value, expected)
        assert contained([value]) is same(value, expected), (value, expected)


@pytest.mark.parametrize(
    ("operator", "expected", "holds", "fails"),
    [
        ("in", ["a", 5, None], ["a", 5, 5.0, None], ["5", "b", True, "", [], ["a"]]),
        ("gt", 5, [6, 5.1], [5, "6", True, None, [9]]),
        ("gte", 5, [5, 5.0], [4, "5", False]),
        ("lt", 1, [0, -1.5], [1, True, False, "0", None]),
        ("lte", 1.5, [1, 1.5], [2, "1", True]),
        ("gt", "2026-01-01", ["2026-01-02", "2027"], ["2026-01-01", "2025-12-31", 2027]),
        ("startswith", "refs/", ["refs/x", "refs/"], ["ref", "xrefs/", 5, None, ["refs/"]]),
        ("endswith", ".json", ["a.json"], ["a.jsonx", ["a.json"], 5]),
        ("contains", "b", ["abc", "b", ["a", "b"]], ["ac", ["abc"], {"b": 1}, 5, None]),
        ("contains", 5, [[4, 5], [5.0]], ["5", 5, ["5"], [True]]),
        ("regex", "o+r", ["door", "or"], ["dr", 5, None, ["or"]]),
        ("regex", "^a$", ["a"], ["ba", "ab"]),
        ("glob", "refs/*/v?", ["refs/heads/v1", "refs/a/b/v2"], ["refs/heads/v", "xrefs/a/v1", 5]),
        ("glob", "[ab]*", ["a", "bcd"], ["c", ""]),
        ("glob", "A*", ["Abc"], ["abc"]),
    ],
)
def test_operator(operator: str, expected: object, holds: list[object], fails: list[object]) -> None:
    satisfies = POSITIVE[operator](expected)
    assert [value for value in holds if not satisfies(value)] == []
    assert [value for value in fails if satisfies(value)] == []


REFUSED: dict[str, list[object]] = {
    "eq ne": [[], ["a"], {}, {"a": 1}],
    "in not_in": [[], "a", 5, {}, [["a"]], None],
    "gt gte lt lte": [True, None, [], {}],
    "startswith endswith glob": [5, None, ["a"]],
    "contains": [["a"]],
    "regex": [5, "(", "(a+)+"],
}


@pytest.mark.parametrize(
    ("operator", "expected"),
    [(name, value) for names, values in REFUSED.items() for name in names.split() for value in values],
)
def test_operands_that_make_no_sense(operator: str, expected: object) -> None:
    with pytest.raises(ConditionError):
        {**POSITIVE, **NEGATIVE}[operator](expected)


def test_a_text_that_is_too_long_for_a_pattern_does_not_match() -> None:
    assert POSITIVE["regex"]("x+$")("x" * 4096)
    assert not POSITIVE["regex"]("x+$")("x" * 4097)
    assert POSITIVE["glob"]("*x")("x" * 65_536)
    assert not POSITIVE["glob"]("*x")("x" * 65_537)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(POSITIVE)), JSON, JSON)
def test_a_predicate_never_raises(operator: str, expected: object, value: object) -> None:
    try:
        satisfies = POSITIVE[operator](expected)
    except ConditionError:
        return
    assert satisfies(value) in {True, False}
