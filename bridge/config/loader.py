"""From a routing file to a validated configuration, or to everything that is wrong with it."""

import gc
import glob
import hashlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from collections.abc import Mapping as AbstractMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from bridge.config import grammar
from bridge.config.files import FileChanges, FileTooLarge, read_settled
from bridge.config.grammar_routes import DEFAULTS
from bridge.config.model import Case, Config
from bridge.config.nodes import Mapping, parse
from bridge.config.problems import Code, Position, Problem, Problems, Source, TooManyProblems
from bridge.config.reader import Invalid, Reader
from bridge.config.records import Fields, Record
from bridge.config.routes import RouteBuilder
from bridge.config.secrets import Secrets
from bridge.config.sections import (
    broker_settings,
    console_settings,
    gap_settings,
    journal_settings,
    relay_settings,
    service_settings,
    status_settings,
)
from bridge.config.targets import Targets
from bridge.config.tests import CaseBuilder
from bridge.config.verifiers import Verifiers, verifier_settings
from bridge.errors import ConfigError
from bridge.routing.table import Route, RouteTable

LARGEST_FILE: Final = 4 * 1024 * 1024
"""Bytes per file; ten thousand routes of ordinary size take 2 MiB."""
MOST_FILES: Final = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a routing file."""

    config: Config | None
    """None where any problem is an error."""
    problems: tuple[Problem, ...]
    """By file, line and column; warnings too."""
    files: tuple[Path, ...] = ()
    """What was read, also where it is refused: the routing file, then what it includes."""
    fingerprint: str = ""
    """SHA-256 over the files' bytes; for a single file what `sha256sum` prints."""

    @property
    def summary(self) -> str:
        """How many problems there are, in one line."""
        errors = sum(problem.severity == "error" for problem in self.problems)
        counts = [_count(errors, "error"), _count(len(self.problems) - errors, "warning")]
        return ", ".join(filter(None, counts)) or "no problems"

    def report(self) -> str:
        """Every problem with its source line, then the total."""
        return "\n".join([*(problem.render() for problem in self.problems), self.summary])


def load(
    path: Path,
    texts: AbstractMapping[Path, bytes] | None = None,
    *,
    environment: AbstractMapping[str, str] = os.environ,
    secrets: Secrets | None = None,
) -> Loaded:
    """Read a routing file and what it includes. Whatever the files hold, this raises nothing.

    Args:
        path: the routing file.
        texts: what an earlier load read (`Config.texts`), to be used instead of the files.
        environment: where `${NAME}` is looked up.
        secrets: looks up all references, instead.
    """
    loading = _Loading(path.parent, secrets or Secrets(path.parent, environment))
    return loading.run(lambda: loading.texts(texts) if texts else loading.files(path))


def load_text(text: str, *, name: str = "bridge.yaml", secrets: Secrets | None = None) -> Loaded:
    """As `load`, for the text of a routing file; what it includes is left out."""
    loading = _Loading(Path(), secrets or Secrets(environment={}))
    return loading.run(lambda: loading.texts({Path(name): text.encode("utf-8", "surrogatepass")}))


class _Loading:
    """One load on its way."""

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        self._reader = Reader(Problems(), secrets, folder)
        self._texts: dict[Path, bytes] = {}

    def run(self, read: Callable[[], list[Fields | None]]) -> Loaded:
        """What becomes of the files that `read` reads: the routing file first, then what it includes."""
        try:
            with _collector_paused():
                config = _config(read(), self._reader)
        except TooManyProblems:
            config = None
        fingerprint = hashlib.sha256(b"\0".join(self._texts.values())).hexdigest()
        if config:
            config = replace(config, texts=self._texts, fingerprint=fingerprint)
        return Loaded(config, tuple(self._reader.problems), tuple(self._texts), fingerprint)

    def files(self, path: Path) -> list[Fields | None]:
        """What the routing file says, and what those say that it includes."""
        main = self._file(path, grammar.FILE)
        others = _included(path, main, self._reader) if main else []
        return [main, *(self._file(other, grammar.INCLUDED) for other in others)]

    def texts(self, texts: AbstractMapping[Path, bytes]) -> list[Fields | None]:
        """What texts say: the routing file's first, then those of what it includes."""
        records = [grammar.FILE] + [grammar.INCLUDED] * (len(texts) - 1)
        return [
            self._parse(path, text, record)
            for (path, text), record in zip(texts.items(), records, strict=True)
        ]

    def _file(self, path: Path, record: Record) -> Fields | None:
        """What a file says; None, with a problem noted, where it can't be read."""
        self._texts[path] = b""  # watched also while it can't be read
        try:
            content = read_settled(path, LARGEST_FILE)
        except ConfigError as error:
            self._reader.problems.add(_code_of(error), Position(Source(str(path))), str(error))
            return None
        return self._parse(path, content, record)

    def _parse(self, path: Path, content: bytes, record: Record) -> Fields | None:
        """What a file's bytes say; None, with a problem noted, where they are no YAML mapping."""
        self._texts[path] = content
        try:
            source = Source(str(path), content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            where = Position(Source(str(path)), line, error.start - content.rfind(b"\n", 0, error.start))
            hint = "save it as UTF-8"
            self._reader.problems.add(Code.NOT_TEXT, where, "the file is not UTF-8 text", hint)
            return None
        mapping = parse(source, self._reader.problems)
        return record.read(mapping, self._reader) if mapping else None


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A large file makes a million objects and hardly a cycle: looking for some takes half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _config(files: list[Fields | None], reader: Reader) -> Config | None:
    """The configuration of the routing file and what it includes; None where any problem was noted."""
    file, *included = files
    if file is None:
        return None
    if not file.given("routes") and not file.given("include"):
        reader.problems.add(Code.MISSING_KEY, file.node.position, "the key 'routes' is missing")
    brokers = _named(file, "brokers", broker_settings, reader)
    services = _named(file, "services", service_settings, reader)
    targets = Targets(brokers, services)
    verifiers = Verifiers(_named(file, "verifiers", verifier_settings, reader))
    defaults = file.usable("defaults", None) or DEFAULTS.absent(file.node)
    builder = RouteBuilder(defaults, targets, verifiers, reader)
    routes = [route for fields in (file, *included) if fields for route in _routes(fields, builder)]
    unmatched = file.usable("unmatched", "count")
    if not isinstance(unmatched, str):
        unmatched = builder.items(unmatched, "unmatched", None)
    node = file.usable("node", None) or _host_name()
    table = RouteTable(routes, unmatched)
    relay = _attempt(relay_settings, file, reader, table.buckets or None)
    journal = _attempt(journal_settings, file)
    gaps = _attempt(gap_settings, file, reader)
    console = _attempt(console_settings, file, reader)
    status = _attempt(status_settings, file, node, targets, reader)
    cases = _cases([fields for fields in files if fields], reader)
    if reader.problems.errors or relay is None or journal is None or gaps is None:
        return None
    return Config(
        node=node,
        relay=relay,
        brokers=targets.brokers,
        services=targets.services,
        table=table,
        verifiers=verifiers.settings,
        journal=journal,
        gaps=gaps,
        console=console,
        status=status,
        silences=builder.silences,
        cases=tuple(cases),
        require_tests=(file["reload"] or grammar.RELOAD.absent(file.node))["require_tests"],
    )


def _attempt(build: Callable[..., T], *arguments: Any) -> T | None:
    """What `build` makes; None where it can't, whose problem is noted."""
    try:
        return build(*arguments)
    except Invalid:
        return None


def _named(
    file: Fields, key: str, build: Callable[[str, Fields, Reader], T], reader: Reader
) -> dict[str, T | None]:
    """Settings by name; None for one with a mistake, so that its users aren't told of an unknown name."""
    node = file.node_of(key)
    names = node.entries if file.given(key) and isinstance(node, Mapping) else {}
    usable = file.usable(key, {})
    built = {name: _attempt(build, name, fields, reader) for name, fields in usable.items()}
    return {name: built.get(name) for name in names}


def _routes(fields: Fields, builder: RouteBuilder) -> list[Route]:
    routes = (_attempt(builder.route, route) for route in fields.usable("routes", []))
    return [route for route in routes if route is not None]


def _cases(files: list[Fields], reader: Reader) -> list[Case]:
    """The files' own tests; they can name a route also where it has a mistake."""
    names = [route.usable("name", "") for fields in files for route in fields.usable("routes", [])]
    builder = CaseBuilder(names, reader)
    return [case for fields in files for case in builder.cases(fields)]


def _included(path: Path, main: Fields, reader: Reader) -> list[Path]:
    """The files that the routing file's patterns match, in the order of their names, each once."""
    files: set[Path] = set()
    for pattern, place in main.usable("include", []):
        # pathlib's glob refuses an absolute pattern.
        found = {path.parent / name for name in glob.glob(pattern, root_dir=path.parent)}  # noqa: PTH207  # see above
        if not found:
            reader.problems.add(Code.NOTHING_INCLUDED, place, "this pattern matches no file")
        files |= found
    files.discard(path)
    if len(files) > MOST_FILES:
        place = main.node_of("include").position
        reader.problems.add(Code.TOO_LARGE, place, f"the patterns match more than {MOST_FILES} files")
        return []
    return sorted(files)


def _code_of(error: ConfigError) -> Code:
    match error:
        case FileChanges():
            return Code.UNSTABLE
        case FileTooLarge():
            return Code.TOO_LARGE
    return Code.UNREADABLE


def _host_name() -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname().partition(".")[0])[:64] or "bridge"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""
