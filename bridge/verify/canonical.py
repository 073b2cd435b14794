"""The JSON Canonicalization Scheme of RFC 8785: one text for all spellings of a JSON document."""

import json
from math import isfinite
from typing import Any, Final

import orjson

from bridge.webhook import BodyError

MOST_LEVELS: Final = 128
"""Depth of a document; deeper ones are refused rather than recursed into."""


def parse(raw: bytes) -> Any:
    """The document that JSON text holds, every number as the double that JavaScript makes of it.

    A repeated key is refused although JavaScript takes the last one: a signature over the canonical text
    would not cover the value that is thrown away, and whoever reads the first one would trust a forgery.

    Raises:
        BodyError: it is not JSON, not UTF-8, nested too deeply, or repeats a key.
    """
    try:
        return _decode(raw.decode())
    except UnicodeDecodeError:
        raise BodyError("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BodyError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise BodyError("the body is nested too deeply") from None


def canonical(value: Any, levels: int = MOST_LEVELS) -> str:
    """The canonical text of a parsed document.

    Args:
        value: what `parse` or any other JSON parser returned.
        levels: how many more levels of nesting are allowed.

    Raises:
        BodyError: it is nested too deeply, or holds an infinite number or a lone surrogate.
    """
    match value:
        case None | bool():
            return "null" if value is None else str(value).lower()
        case str():
            return quoted(value)
        case int() | float():
            return number(value)
    if levels == 0:
        raise BodyError("the body is nested too deeply")
    if isinstance(value, list):
        return f"[{','.join([canonical(item, levels - 1) for item in value])}]"
    members = [f"{quoted(key)}:{canonical(value[key], levels - 1)}" for key in sorted(value, key=_utf16)]
    return f"{{{','.join(members)}}}"


def quoted(text: str) -> str:
    """Text as a JSON string (RFC 8785, section 3.2.2.2), as JavaScript's `JSON.stringify` writes it.

    Raises:
        BodyError: it holds a lone surrogate.
    """
    try:
        return orjson.dumps(text).decode()  # escapes what must be escaped and nothing else
    except orjson.JSONEncodeError:
        raise BodyError("the body holds a lone surrogate") from None


def number(value: float) -> str:
    """A number as JavaScript's `Number.prototype.toString` writes it (RFC 8785, section 3.2.2.3).

    Raises:
        BodyError: it is not finite as a double.
    """
    try:
        double = float(value)
    except OverflowError:
        raise BodyError("the body holds a number beyond a double's range") from None
    if not isfinite(double):
        raise BodyError("the body holds a number beyond a double's range")
    # Python finds the same shortest digits, and differs in when and how it writes an exponent.
    mantissa, _, exponent = repr(double).partition("e")
    if not exponent:
        whole = mantissa.removesuffix(".0")
        return "0" if whole == "-0" else whole
    return _with_exponent(mantissa, int(exponent))


def _with_exponent(mantissa: str, exponent: int) -> str:
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.removeprefix("-").replace(".", "")
    if 0 < exponent < 21:
        return sign + digits.ljust(exponent + 1, "0")
    if -7 < exponent < 0:
        return f"{sign}0.{digits.rjust(len(digits) - exponent - 1, '0')}"
    return f"{mantissa}e{exponent:+d}"


def _utf16(key: str) -> bytes:
    # JavaScript sorts by UTF-16 code units: 😀 (D83D DE00) comes before U+FB33.
    return key.encode("utf-16-be", "surrogatepass")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BodyError("the body repeats a key")
    return members


def _no_constant(_name: str) -> None:
    raise BodyError("the body is not JSON: it holds NaN or Infinity")


_decode = json.JSONDecoder(
    parse_int=float,  # every number of JavaScript is a double
    parse_constant=_no_constant,
    object_pairs_hook=_distinct,
).decode
