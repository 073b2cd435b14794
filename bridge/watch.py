"""Noticing that the routing file changed: its folder is watched, and a slow poll catches the rest."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

log = logging.getLogger(__name__)

QUIET = 0.1
"""Seconds without an event before the file is read: editors write in several steps."""
LONGEST = 1.0
"""Seconds after which it is read though events go on."""
POLL = 15.0
"""Seconds between looks at the files themselves: a swapped folder, a file system without events."""

# Our own reading causes these two; reacting to them would never end.
_IGNORED = frozenset({"opened", "closed_no_write"})


class _Handler(FileSystemEventHandler):
    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in _IGNORED:
            self._notify()


class FileWatch:
    """Calls `changed` on the event loop a moment after something happened to the files' folders.

    It says only that a look is worth it: whether anything changed, the content decides.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._observer: BaseObserver | None = None
        self._folders: frozenset[Path] = frozenset()
        self._timer: asyncio.TimerHandle | None = None
        self._first: float | None = None
        self._poll: asyncio.TimerHandle | None = None
        self._stamps: dict[Path, tuple[int, int, int]] = {}

    def watch(self, files: Iterable[Path]) -> None:
        """Look at these files from now on."""
        paths = list(files)
        self._stamps = {path: _stamp(path) for path in paths}
        folders = frozenset(folder for path in paths for folder in (path.parent, path.resolve().parent))
        if folders != self._folders:
            self._stop_observer()
            self._folders = folders
            self._start_observer()
        if self._poll is None:
            self._poll = self._loop.call_later(POLL, self._look)

    def _start_observer(self) -> None:
        observer = Observer()
        handler = _Handler(self._notify)
        try:
            for folder in self._folders:
                observer.schedule(handler, str(folder), recursive=False)
            observer.start()
        except OSError as error:  # no inotify, no watches left, or the folder is gone
            log.warning("cannot watch the routing file's folder, looking every %g s: %s", POLL, error)
            self._folders = frozenset()
            return
        self._observer = observer

    def _stop_observer(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join(2.0)

    def _notify(self) -> None:
        """Called on the observer's thread."""
        try:
            self._loop.call_soon_threadsafe(self._schedule)
        except RuntimeError:  # the loop was closed while the observer's last event was on its way
            return

    def _schedule(self) -> None:
        now = self._loop.time()
        if self._first is None:
            self._first = now
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + QUIET, self._first + LONGEST), self._fire)

    def _fire(self) -> None:
        self._timer = self._first = None
        self._changed()

    def _look(self) -> None:
        self._poll = self._loop.call_later(POLL, self._look)
        if any(_stamp(path) != stamp for path, stamp in self._stamps.items()):
            self._folders = frozenset()  # events missed it, so the folders are watched anew
            self._schedule()

    def close(self) -> None:
        """Stop looking."""
        for handle in (self._timer, self._poll):
            if handle is not None:
                handle.cancel()
        self._stop_observer()


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
