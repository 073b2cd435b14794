"""An input's templated answer: text with places such as `{{ body.challenge }}`. No I/O.

A place is one path and nothing else, so whoever writes a template can't make the relay compute, and what a
sender puts into a webhook is text in any case. It is escaped as the answer's content type asks: in JSON for
the inside of a string, in HTML as text. What a request doesn't have is empty.
"""

import html
import re
from typing import Final

import orjson

from bridge.selfhosted.rules import Facts

ROOTS: Final = ("body", "header", "query", "method", "path", "raw", "id")

_PLACE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PATH: Final = re.compile(rf"({'|'.join(ROOTS)})(?:\.([\w.-]+)|\[['\"]([^'\"\[\]]+)['\"]\])?")


class BadTemplate(ValueError):
    """A place names nothing that a webhook has; the text says which."""


def check_template(text: str) -> None:
    """Find out whether a template can be filled in.

    Raises:
        BadTemplate: it can't.
    """
    for place in _PLACE.findall(text):
        found = _PATH.fullmatch(place.strip())
        if found is None:
            raise BadTemplate(f"{place.strip()[:50]!a} is none of {', '.join(ROOTS)} with a path")
        needs_name = found[1] in ("header", "query")
        if needs_name is not bool(found[2] or found[3]) and found[1] != "body":
            wanted = f"{found[1]} needs a name" if needs_name else f"{found[1]} has no parts"
            raise BadTemplate(f"{place.strip()[:50]!a}: {wanted}")


def fill(text: str, facts: Facts, log_id: str, content_type: str) -> str:
    """A template that was checked, with a request's values in its places."""
    media = content_type.partition(";")[0].strip().lower()
    return _PLACE.sub(lambda place: _escaped(_value(place[1], facts, log_id), media), text)


def _value(place: str, facts: Facts, log_id: str) -> str:
    found = _PATH.fullmatch(place.strip())
    if found is None:
        return ""
    root, name = found[1], found[2] or found[3] or ""
    match root:
        case "id":
            return log_id
        case "body" if name:
            return facts.value("payload", name) or ""
        case "body":
            return facts.value("raw", "") or ""
    return facts.value(root, name) or ""


def _escaped(value: str, media: str) -> str:
    if media == "application/json" or media.endswith("+json"):
        return orjson.dumps(value).decode()[1:-1]
    if media in ("text/html", "application/xhtml+xml") or media.endswith(("/xml", "+xml")):
        return html.escape(value)
    return value
