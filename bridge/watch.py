"""Noticing that the routing file changed: its folder is watched, and a slow poll catches the rest."""

import asyncio
import logging
import os
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
_READING = frozenset({"opened", "closed_no_write"})
# A link may have been swapped, or a file be there that is to be included.
_ENTRIES = frozenset({"created", "deleted", "moved"})

_Stamp = tuple[int, ...]


class _Handler(FileSystemEventHandler):
    """Called on the observer's thread."""

    def __init__(self, files: frozenset[str], notify: Callable[[], None]) -> None:
        self._files = files
        self._notify = notify

    def on_any_event(self, event: FileSystemEvent) -> None:
        kind = event.event_type
        if kind in _ENTRIES or (kind not in _READING and event.src_path in self._files):
            self._notify()


class FileWatch:
    """Calls `changed` on the event loop a moment after something happened to the files' folders.

    It says only that a look is worth it: whether anything changed, the content decides.

    Args:
        changed: called without arguments; must not block.
        poll: seconds between looks at the files themselves.
    """

    def __init__(self, changed: Callable[[], None], *, poll: float = POLL) -> None:
        self._changed = changed
        self._poll = poll
        self._loop = asyncio.get_running_loop()
        self._observer: BaseObserver | None = None
        self._places: dict[Path, _Stamp] = {}
        self._stamps: dict[Path, _Stamp] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._first = 0.0
        self._next_look: asyncio.TimerHandle | None = None
        self._warned = self._closed = False

    def watch(self, files: Iterable[Path]) -> None:
        """Look at these files from now on."""
        # A known file keeps its stamp: it may have changed since it was read.
        self._stamps = {path: self._stamps.get(path) or _stamp(path) for path in files}
        places = _places(self._stamps)
        if places != self._places:
            self._stop_observer()
            self._places = places if self._start_observer(places) else {}
        if self._next_look is None:
            self._next_look = self._loop.call_later(self._poll, self._look)

    def _start_observer(self, places: Iterable[Path]) -> bool:
        handler = _Handler(frozenset(map(str, places)), self._notify)
        try:
            observer = Observer()
            for folder in {place.parent for place in places}:
                observer.schedule(handler, str(folder), recursive=False)
            observer.start()
        except OSError as error:  # no inotify, no watches left, or a folder went away just now
            if not self._warned:
                log.warning("folders can't be watched, the files are looked at now and then: %s", error)
                self._warned = True
            return False
        self._observer = observer
        return True

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
        if self._closed:
            return
        now = self._loop.time()
        if self._timer is None:
            self._first = now
        else:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + QUIET, self._first + LONGEST), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._stamps = {path: _stamp(path) for path in self._stamps}
        self._changed()

    def _look(self) -> None:
        self._next_look = self._loop.call_later(self._poll, self._look)
        if any(_stamp(path) != stamp for path, stamp in self._stamps.items()):
            self._schedule()

    def close(self) -> None:
        """Stop looking; `changed` is not called any more."""
        self._closed = True
        for handle in (self._timer, self._next_look):
            if handle is not None:
                handle.cancel()
        self._stop_observer()


def _places(files: Iterable[Path]) -> dict[Path, _Stamp]:
    """The files, and what they link to, whose folders exist; each with the folder's identity.

    A folder that was replaced has the same name and another identity, and has to be watched anew.
    """
    return {
        place: identity
        for path in files
        for place in (path, Path(os.path.realpath(path)))
        if (identity := _stamp(place.parent)[:2])
    }


def _stamp(path: Path) -> _Stamp:
    """What changes when a file does, the identity first; empty where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
