"""Canonical JSON against two implementations that share no code with ours: rfc8785, and JavaScript."""

import hmac
import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bridge.verify.canonical import MOST_LEVELS, canonical, number, parse, quoted
from bridge.verify.replay import ReplayCache
from bridge.verify.verdict import Verified
from bridge.webhook import BodyError
from tests.support.npm import node
from tests.support.signatures import RELAYBOX_KEY, Vector

SAFE = 2**53 - 1

# Names that sort differently by UTF-16, by code point and by UTF-8, and what must be escaped or must not.
TRICKY = st.sampled_from(
    ["\ufb33", "😀", "é", "\u2028", "\x7f", "\x00", "\x1f", '"', "\\", "/", "\b", "\uffff", "__proto__", ""]
)
TEXT = st.lists(TRICKY | st.text(max_size=4), max_size=3).map("".join)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-SAFE, SAFE).map(float)
NUMBERS = DOUBLES | st.tuples(st.sampled_from([1.0, -1.5, 9.999999]), st.integers(-9, 23)).map(
    lambda it: it[0] * 10.0 ** it[1]
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | TEXT | NUMBERS | st.integers(-SAFE, SAFE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=12,
)
LITERALS = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)

AS_JAVASCRIPT = """
import {createHmac} from 'node:crypto';
import {readFileSync} from 'node:fs';
const sorted = (value) => Array.isArray(value) ? `[${value.map(sorted)}]`
    : value !== null && typeof value === 'object'
    ? `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${sorted(value[key])}`)}}`
    : JSON.stringify(value);
const [key, texts] = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(texts.map((text) => {
    const canonical = sorted(JSON.parse(text));
    return [canonical, createHmac('sha256', key).update(JSON.stringify(canonical)).digest('hex')];
})));
"""


def examples(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """The same values in every run, so that one call of Node.js can judge them all."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def by_javascript(texts: list[str]) -> list[tuple[str, str]]:
    """Canonical text and RelayBox signature of each."""
    return [
        tuple(pair) for pair in json.loads(node(AS_JAVASCRIPT, json.dumps([RELAYBOX_KEY, texts]).encode()))
    ]


@settings(max_examples=1000)
@given(DOCUMENTS)
def test_generated_documents_as_rfc8785_writes_them(document: Any) -> None:
    expected = rfc8785.dumps(document)
    assert canonical(document).encode() == expected
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False, indent=1)):
        assert canonical(parse(text.encode())).encode() == expected


def test_generated_documents_as_javascript_writes_and_relaybox_signs_them() -> None:
    documents = examples(DOCUMENTS, 1000)
    assert len({json.dumps(document) for document in documents}) >= 500
    texts = [json.dumps(document, ensure_ascii=place % 2 == 0) for place, document in enumerate(documents)]
    for text, (expected, signature) in zip(texts, by_javascript(texts), strict=True):
        assert canonical(parse(text.encode())) == expected
        vector = Vector(
            "relaybox", RELAYBOX_KEY, text.encode(), {"x-relaybox-webhook-signature": signature}, aged=False
        )
        verdict = vector.verifier().verify(vector.webhook(), vector.clock(), ReplayCache())
        assert isinstance(verdict, Verified), text


def test_relaybox_signatures_of_generated_documents_by_rfc8785() -> None:
    for document in examples(DOCUMENTS, 600):
        twice = json.dumps(rfc8785.dumps(document).decode(), ensure_ascii=False).encode()
        signature = hmac.new(RELAYBOX_KEY.encode(), twice, "sha256").hexdigest()
        headers = {"x-relaybox-webhook-signature": signature}
        vector = Vector("relaybox", RELAYBOX_KEY, json.dumps(document).encode(), headers, aged=False)
        verdict = vector.verifier().verify(vector.webhook(), vector.clock(), ReplayCache())
        assert isinstance(verdict, Verified), document


def test_number_literals_are_read_and_written_as_javascript_does() -> None:
    powers = [f"{digits}e{exponent}" for exponent in range(-330, 309) for digits in ("1", "-1.25")]
    borders = ["9007199254740993", "-0", "-0.0", "0e9", "5e-324", "2e-324", "1.7976931348623157e308"]
    integers = [str(2**power + offset) for power in range(50, 130) for offset in (-1, 0, 1)]
    literals = powers + borders + integers + examples(LITERALS, 1000)
    for literal, (expected, _) in zip(literals, by_javascript(literals), strict=True):
        assert canonical(parse(literal.encode())) == expected


@given(st.binary(min_size=8, max_size=8))
def test_any_double_is_written_so_that_it_is_read_back(bits: bytes) -> None:
    (double,) = struct.unpack(">d", bits)
    if math.isfinite(double):
        assert float(number(double)) == double
    else:
        with pytest.raises(BodyError):
            number(double)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1.5e20, "150000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (2**53 + 1, "9007199254740992"),
        (1e-6, "0.000001"),
        (-1.25e-6, "-0.00000125"),
        (1e-7, "1e-7"),
        (1.25e-7, "1.25e-7"),
        (5e-324, "5e-324"),
    ],
)
def test_numbers(value: float, written: str) -> None:
    assert number(value) == written


def test_a_string_escapes_only_what_must_be_escaped() -> None:
    assert (
        quoted('\x00\x1f\b\f\n\r\t"\\/\x7f\u2028é😀')
        == '"\\u0000\\u001f\\b\\f\\n\\r\\t\\"\\\\/\x7f\u2028é😀"'
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"01",
        b"1.",
        b"{'a':1}",
        b'"\n"',
        b"\xc2\xa01",
        b'{"a":1,"a":1}',
        b'[{"b":{"a":1,"\\u0061":2}}]',
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_or_repeats_a_key_is_not_read(text: bytes) -> None:
    with pytest.raises(BodyError) as caught:
        parse(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("document", ["\ud800", {"\udc00": 1}, ["😀\ud83d"], 1e400, [10**400]])
def test_what_has_no_canonical_text_is_refused(document: Any) -> None:
    with pytest.raises(BodyError):
        canonical(document)


def test_depth_has_a_limit() -> None:
    deepest = parse(b"[" * MOST_LEVELS + b"]" * MOST_LEVELS)
    assert canonical(deepest) == "[" * MOST_LEVELS + "]" * MOST_LEVELS
    with pytest.raises(BodyError):
        canonical([deepest])
