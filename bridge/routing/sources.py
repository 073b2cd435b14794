"""What a condition looks at: a source such as `bucket`, `header.x-event` or `body.a[0].b`."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from bridge.errors import ConditionError
from bridge.routing.hints import did_you_mean
from bridge.routing.scope import body_of
from bridge.webhook import Webhook

Reader = Callable[[Webhook], tuple[object, ...]]
"""The values that a source has; none where it is missing. Never raises."""

_PLAIN: Final[Mapping[str, Reader]] = {
    "bucket": lambda webhook: (webhook.bucket, webhook.bucket_id),
    "input": lambda webhook: (webhook.input, webhook.input_id),
    "output": lambda webhook: (webhook.output,),
    "method": lambda webhook: (webhook.method,),
    "path": lambda webhook: (webhook.path,),
    "content_type": lambda webhook: (webhook.content_type,),
}
_NAMED: Final = ("query", "header", "form", "body")

_STEP: Final = re.compile(r'(?:^|(?<=.)\.)([^.\[\]"]+)|\[(\d{1,6})\]|\["([^"]+)"\]')


@lru_cache(maxsize=1024)
def reader_of(source: str) -> Reader:
    """How to read a source.

    Raises:
        ConditionError: there is no such source.
    """
    if source in _PLAIN:
        return _PLAIN[source]
    family, _, name = source.partition(".")
    if family not in _NAMED:
        raise ConditionError(f"unknown source '{source}'{did_you_mean(family, (*_PLAIN, *_NAMED))}")
    if not name:
        raise ConditionError(f"'{family}' needs a name: {family}.NAME")
    match family:
        case "query":
            return lambda webhook: webhook.query.get(name, ())
        case "form":
            return lambda webhook: webhook.form.get(name, ())
        case "header":
            lower = name.lower()
            return lambda webhook: webhook.headers.get(lower, ())
    return _body_reader(_steps(source, name))


def _steps(source: str, path: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    position = 0
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            raise ConditionError(f"'{source}' is not a path; write body.a.b[0] or body.a[\"b.c\"]")
        key, index, quoted = found.groups()
        steps.append(int(index) if index else key or quoted)
        position = found.end()
    return tuple(steps)


def _body_reader(steps: tuple[str | int, ...]) -> Reader:
    def read(webhook: Webhook) -> tuple[object, ...]:
        value = body_of(webhook)
        try:
            for step in steps:
                if value.__class__ is str:
                    return ()  # a character of a text is no part of the body
                value = value[step]
        except (LookupError, TypeError):
            return ()
        return (value,)

    return read
