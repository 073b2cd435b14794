"""Jinja2 with walls: a template sees data, never Python objects, and can't run long or grow without bound.

Names after a dot are keys of the data and nothing else, so `body.items` is what the sender sent. Methods
exist only where they are called, and only those listed here.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

import orjson
from jinja2 import StrictUndefined, Undefined, nodes, pass_environment
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import do_round, do_sum
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bridge.errors import RenderError
from bridge.routing.confine import text

MAX_TEXT: Final = 3 * 1024 * 1024
"""Characters that a template may yield; the relay takes bodies up to 3 MB."""
MAX_LOOP: Final = 10_000
"""Items of a list that a loop may visit."""
METHOD_MARK: Final = "()"
"""Precedes the name of a method that is called; nothing that a template says can start with it."""
BOUNDED: Final = "()bounded"
"""The filter that every loop's list goes through."""

ALLOWED_NODES: Final = frozenset(
    {
        *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign),
        *(nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword),
        *(nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.CondExpr),
        *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat),
        *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos),
    }
)
"""What a template may be made of. No macro, block, include or import, and no `**`."""


class Sandbox(ImmutableSandboxedEnvironment):
    """The one environment of all templates."""

    intercepted_binops = frozenset({"*", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, finalize=text, cache_size=0)
        self.filters = {**FILTERS, BOUNDED: _bounded}
        self.globals = {}
        self.binop_table.update({"*": _times, "%": _modulo})

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A key of a mapping or an index of a list; of something undefined, undefined."""
        if isinstance(obj, Undefined):
            return obj  # so that `body.a.b | default(0)` works where `a` is missing too
        try:
            return obj[argument]
        except (LookupError, TypeError):
            return self.undefined(obj=obj, name=argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """As `getitem`; besides, `loop.index` and its like, and methods that are called."""
        if attribute.startswith(METHOD_MARK) and not isinstance(obj, Undefined):
            return _method(obj, attribute.removeprefix(METHOD_MARK))
        if isinstance(obj, LoopContext) and attribute in LOOP_NAMES:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)


LOOP_NAMES: Final = frozenset({"index", "index0", "first", "last", "length", "revindex", "revindex0"})


def _method(value: Any, name: str) -> Callable[..., Any]:
    kinds, function = METHODS[name]
    if not isinstance(value, kinds):
        raise RenderError(f"a {type(value).__name__} has no .{name}()")
    return partial(function, value)


def _get(data: Mapping[str, Any], key: str, default: Any = None) -> Any:
    try:
        return data[key]  # dict.get would pass a header's other spellings by
    except KeyError:
        return default


def _times(left: Any, right: Any) -> Any:
    for sequence, count in ((left, right), (right, left)):
        if isinstance(sequence, (str, list, tuple)) and isinstance(count, int):
            _limit(len(sequence) * count)
    return left * right


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, str):
        raise RenderError("'%' computes a remainder; the filter `format` fills in text")
    return left % right


def _limit(size: int) -> None:
    if size > MAX_TEXT:
        raise RenderError(f"a result of over {MAX_TEXT} characters")


def _replace(value: Any, old: str, new: str) -> str:
    source = text(value)
    _limit(source.count(old) * len(new))
    return source.replace(old, new)


def _join(values: Iterable[Any], separator: str = "") -> str:
    parts = [text(value) for value in values]
    _limit(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


_PRINTF: Final = re.compile(r"%(?:%|[-+ #0]{0,5}\d{0,3}(?:\.\d{1,3})?[sdiouxXeEfFgG])")


def _format(pattern: str, *values: Any) -> str:
    if len(pattern) > 1000 or "%" in _PRINTF.sub("", pattern):
        raise RenderError("`format` knows %s, %d, %5.1f and their like")
    return pattern % values


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if not -20 <= precision <= 20:
        raise RenderError("`round` goes to 20 digits")
    return do_round(value, precision, method)


@pass_environment
def _sum(environment: Sandbox, values: Iterable[Any], attribute: str | None = None) -> Any:
    return do_sum(environment, values, attribute)  # without its `start`, which could add up lists


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _bounded(values: Iterable[Any]) -> list[Any]:
    """The items of a loop.

    Raises:
        RenderError: there are more than 10,000.
    """
    items = list(islice(values, MAX_LOOP + 1))
    if len(items) > MAX_LOOP:
        raise RenderError(f"a loop over more than {MAX_LOOP} items")
    return items


_TAKEN_OVER: Final = (
    *("abs", "capitalize", "count", "d", "default", "first", "float", "int", "items", "last", "length"),
    *("list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr"),
    *("sort", "title", "trim", "truncate", "unique", "upper", "urlencode"),
)
FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    **{name: JINJA_FILTERS[name] for name in _TAKEN_OVER},
    "format": _format,
    "from_json": orjson.loads,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "string": text,
    "sum": _sum,
    "to_json": _to_json,
    "tojson": _to_json,
}

_OF_TEXT: Final = (
    *("capitalize", "endswith", "find", "isdigit", "lower", "lstrip", "partition", "removeprefix"),
    *("removesuffix", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip"),
    *("title", "upper"),
)
METHODS: Final[Mapping[str, tuple[type | tuple[type, ...], Callable[..., Any]]]] = {
    **{name: (str, getattr(str, name)) for name in _OF_TEXT},
    "count": ((str, list, tuple), lambda value, part: value.count(part)),
    "get": (dict, _get),
    "items": (dict, dict.items),
    "join": (str, lambda separator, values: _join(values, separator)),
    "keys": (dict, dict.keys),
    "replace": (str, _replace),
    "values": (dict, dict.values),
}
"""By name: the types that have it, and what it does. None can make much of little."""

SANDBOX: Final = Sandbox()
