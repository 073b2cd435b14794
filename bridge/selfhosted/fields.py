"""Reading the fields of a JSON document: strictly typed, lenient in what may be missing."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from bridge.errors import BridgeError, Fault
from bridge.selfhosted.template import BadTemplate
from bridge.selfhosted.values import LONGEST_BODY, BadValue, check_header_name, check_header_value

T = TypeVar("T")

MOST_PARTS: Final = 100
"""Entries of a list in a document: inputs, outputs, headers."""


class BadResource(BridgeError):
    """A document can't be used; the text names the field and what is needed."""

    fault = Fault.CONFIGURATION


class Fields:
    """Reads a document's fields. What is missing or null reads as the default.

    Args:
        document: the JSON value.
        place: where it is, in front of a field's name in an error.

    Raises:
        BadResource: in all of its methods too.
    """

    def __init__(self, document: Any, place: str) -> None:
        if not isinstance(document, Mapping):
            raise BadResource(f"{place.rstrip('.') or 'this'}: a JSON object is needed")
        self.place = place
        self._document = document

    def raw(self, name: str) -> Any:
        """A value as it is."""
        return self._document.get(name)

    def text(self, name: str, longest: int) -> str:
        """Text of at most so many characters."""
        value = self._typed(name, str, "text") or ""
        if len(value) > longest:
            raise self._bad(name, f"longer than {longest} characters")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self._bad(name, "this is not text") from None
        return value

    def checked(self, name: str, check: Callable[[str], object], *, optional: bool = False) -> str:
        """Text that a check finds good; "" where it is optional."""
        value = self.text(name, LONGEST_BODY)
        if not value and optional:
            return ""
        try:
            check(value)
        except (BadValue, BadTemplate) as error:
            raise self._bad(name, str(error)) from None
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """`true` or `false`."""
        value = self._typed(name, bool, "true or false")
        return default if value is None else value

    def number(self, name: str, lowest: int, highest: int, default: int, *, unset: int | None = None) -> int:
        """A whole number. `unset` is how some clients say nothing."""
        value = self._typed(name, int, "a whole number")
        if value is None or value == unset:
            return default
        if not lowest <= value <= highest:
            raise self._bad(name, f"a number from {lowest} to {highest} is needed")
        return value

    def seconds(self, name: str, most: float) -> float:
        """Seconds, at most these, which are the default."""
        value = self.raw(name)
        if value is None or value == 0:
            return most
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= most:
            raise self._bad(name, f"seconds, up to {most:g}")
        return float(value)

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        """One of some words; the first is the default."""
        value = self._typed(name, str, "text") or words[0]
        # The service's Go client spells a kind of authentication AuthTypeBasic.
        value = value.removeprefix("AuthType").lower()
        if value not in words:
            raise self._bad(name, f"one of {', '.join(words)} is needed")
        return value

    def objects(self, name: str) -> list["Fields"]:
        """A list of objects."""
        found = self._typed(name, list, "a list") or []
        if len(found) > MOST_PARTS:
            raise self._bad(name, f"more than {MOST_PARTS}")
        return [Fields(one, f"{self.place}{name}.{number}.") for number, one in enumerate(found)]

    def texts(self, name: str) -> list[str]:
        """A list of texts, none of them empty."""
        found = self._typed(name, list, "a list") or []
        if len(found) > MOST_PARTS or not all(isinstance(one, str) and one for one in found):
            raise self._bad(name, "a list of texts is needed")
        return found

    def headers(self, name: str) -> tuple[tuple[str, str], ...]:
        """Header values as a list or as one text."""
        found: list[tuple[str, str]] = []
        for header, values in (self._typed(name, dict, "an object") or {}).items():
            for value in values if isinstance(values, list) else [values]:
                if not isinstance(value, str):
                    raise self._bad(name, "a header's value is text or a list of texts")
                found.append((header, value))
        for pair in found:
            try:
                check_header_name(pair[0])
                check_header_value(pair[1])
            except BadValue as error:
                raise self._bad(name, str(error)) from None
        if len(found) > MOST_PARTS:
            raise self._bad(name, f"more than {MOST_PARTS}")
        return tuple(found)

    def _typed(self, name: str, kind: type[T], what: str) -> T | None:
        value = self._document.get(name)
        if value is not None and type(value) is not kind:
            raise self._bad(name, f"{what} is needed")
        return value

    def _bad(self, name: str, message: str) -> BadResource:
        return BadResource(f"{self.place}{name}: {message}")
