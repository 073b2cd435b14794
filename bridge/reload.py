"""Reload: read, validate, build, swap one reference. What can't be used changes nothing."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.config.loader import Loaded, load
from bridge.config.model import Config
from bridge.config.problems import Problem

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
    """Applies the routing file again and again; one reload at a time."""

    def __init__(self, path: Path, apply: Callable[[Config, int], None], wall: Callable[[], float]) -> None:
        self._path = path
        self._apply = apply
        self._wall = wall
        self._lock = asyncio.Lock()
        self._generation = 0
        self._fingerprint = ""
        self.outcome = Outcome("rejected", 0, "")

    def start(self, config: Config, problems: Sequence[Problem]) -> None:
        """Apply the configuration that the daemon starts with."""
        self._use(config, problems)

    async def reload(self) -> Outcome:
        """Read the file and apply it if it is valid and new. Reading happens off the event loop."""
        async with self._lock:
            loaded = await asyncio.to_thread(load, self._path)
            self.outcome = self._judge(loaded)
            return self.outcome

    def _judge(self, loaded: Loaded) -> Outcome:
        config = loaded.config
        if config is None:
            if self._is_news(loaded):
                log.error(
                    "the routing file was rejected, generation %d stays:\n%s",
                    self._generation,
                    loaded.report(),
                )
            return Outcome("rejected", self._generation, self._fingerprint, loaded.problems, self._wall())
        if config.fingerprint == self._fingerprint:
            return Outcome("unchanged", self._generation, self._fingerprint, loaded.problems, self._wall())
        return self._use(config, loaded.problems)

    def _is_news(self, loaded: Loaded) -> bool:
        return [str(p) for p in self.outcome.problems] != [str(p) for p in loaded.problems]

    def _use(self, config: Config, problems: Sequence[Problem]) -> Outcome:
        self._generation += 1
        self._fingerprint = config.fingerprint
        self._apply(config, self._generation)
        log.info("routing file applied: generation %d, %s", self._generation, config.fingerprint[:12])
        self.outcome = Outcome("applied", self._generation, self._fingerprint, problems, self._wall())
        return self.outcome
