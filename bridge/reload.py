"""Reload: read, validate, build, swap one reference. What can't be used changes nothing."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.config.loader import Loaded, load
from bridge.config.model import Config
from bridge.config.problems import Code, Problem, printable
from bridge.errors import ConfigError
from bridge.trial import problems_of, run_cases

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the last reload."""

    name: str
    """applied, unchanged or rejected."""
    generation: int
    """Of the configuration that is in use now."""
    fingerprint: str
    problems: Sequence[Problem] = ()
    """Why it was rejected, or warnings."""
    at: float = 0.0
    """Unix time in seconds."""

    def as_dict(self) -> dict[str, object]:
        """For the control socket and status."""
        return {
            "outcome": self.name,
            "generation": self.generation,
            "fingerprint": self.fingerprint,
            "problems": [problem.as_json() for problem in self.problems],
            "at": self.at,
        }


class Reloader:
    """Applies the routing file again and again; the caller has one reload run at a time.

    Args:
        path: the routing file.
        apply: makes a configuration the one in use, with its generation; raises ConfigError where that
            can't be done, and has changed nothing then.
        wall: the time, as Unix seconds.
    """

    def __init__(self, path: Path, apply: Callable[[Config, int], None], wall: Callable[[], float]) -> None:
        self._path = path
        self._apply = apply
        self._wall = wall
        self._config: Config | None = None
        self._generation = 0
        self.outcome = Outcome("rejected", 0, "")

    def start(self, config: Config, problems: Sequence[Problem]) -> None:
        """Apply the configuration that the daemon starts with.

        Args:
            config: the routing file's, or the last good one where the file can't be used.
            problems: of the file.

        Raises:
            ConfigError: it can't be used after all.
        """
        self._use(config)
        refused = any(problem.severity == "error" for problem in problems)
        self.outcome = self._outcome("rejected" if refused else "applied", problems)

    async def reload(self) -> Outcome:
        """Read the file and apply it if it is valid and new. Reading happens off the event loop."""
        loaded = await asyncio.to_thread(_load, self._path)
        before, self.outcome = self.outcome, self._judge(loaded)
        _report(before, self.outcome, loaded)
        return self.outcome

    def _judge(self, loaded: Loaded) -> Outcome:
        config = loaded.config
        if config is None:
            return self._outcome("rejected", loaded.problems)
        if self._is_in_use(config):
            return self._outcome("unchanged", loaded.problems)
        try:
            self._use(config)
        except ConfigError as error:
            return self._outcome("rejected", [*loaded.problems, _unusable(self._path, error)])
        return self._outcome("applied", loaded.problems)

    def _is_in_use(self, config: Config) -> bool:
        """Whether it says what the current one says, what its references to secrets stand for included."""
        now = self._config
        return (
            now is not None
            and config.fingerprint == now.fingerprint
            and (config.relay, config.brokers, config.services) == (now.relay, now.brokers, now.services)
            and config.verifiers == now.verifiers
        )

    def _use(self, config: Config) -> None:
        self._apply(config, self._generation + 1)
        self._generation += 1
        self._config = config
        log.info("generation %d is in use, %s", self._generation, config.fingerprint[:12])

    def _outcome(self, name: str, problems: Sequence[Problem]) -> Outcome:
        fingerprint = self._config.fingerprint if self._config else ""
        return Outcome(name, self._generation, fingerprint, tuple(problems), self._wall())


def _load(path: Path) -> Loaded:
    """The routing file; one that requires its tests to pass is refused where they don't."""
    loaded = load(path)
    if loaded.config is None or not loaded.config.require_tests:
        return loaded
    failed = problems_of(run_cases(loaded.config))
    return replace(loaded, config=None, problems=(*loaded.problems, *failed)) if failed else loaded


def _report(before: Outcome, now: Outcome, loaded: Loaded) -> None:
    """Say in the log what is new: the same mistakes are not told twice."""
    if now.name == "rejected":
        if (before.name, before.problems) != (now.name, now.problems):
            report = "\n".join(problem.render() for problem in now.problems)
            log.error("the routing file was rejected, generation %d stays:\n%s", now.generation, report)
    elif now.name == "applied" and now.problems:
        log.warning("the routing file is used, but:\n%s", loaded.report())
    elif before.name == "rejected" and now.name == "unchanged":
        log.info("the routing file says again what is in use: generation %d", now.generation)


def _unusable(path: Path, error: ConfigError) -> Problem:
    """A mistake that shows only when the configuration is put to use, such as a certificate's."""
    return Problem(Code.BAD_VALUE, printable(str(path)), 1, 1, printable(str(error)))
