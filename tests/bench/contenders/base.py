"""What a contender must say to be measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contender runs, and what it connects to."""

    folder: Path
    """Its own, empty."""
    relay_url: str
    broker_port: int
    http_url: str | None
    """Where to POST webhooks to; None: publish them to the broker."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


class Contender(Protocol):
    """A program that takes webhooks off the relay's socket.

    Each does the same work: it authenticates, subscribes to the bucket `bench`, takes the pushes by their
    `X-GitHub-Event` header, and hands on each body, unchanged, to `ci/<repository.name>/push`: with QoS 1 by
    MQTT 5, or by an HTTP POST.
    """

    @property
    def name(self) -> str:
        """One word, for the command line."""

    @property
    def title(self) -> str:
        """For tables."""

    @property
    def missing(self) -> str | None:
        """What this machine lacks to run it; None where nothing."""

    def prepare(self) -> None:
        """Install what it needs, once."""

    def command(self, place: Place) -> Command:
        """Write its files into its folder; the command that starts it."""
