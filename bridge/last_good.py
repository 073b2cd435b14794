"""The last routing file that was applied, kept in the state folder for a start with a broken one."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)

FILE = "last-good.json"


class LastGood:
    """Texts by path, as they were read: references to secrets stay references."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def save(self, texts: Mapping[Path, bytes]) -> None:
        """Replace what is kept, atomically; nothing is written when it is the same.

        Raises:
            OSError: the folder can't be written.
        """
        content = json.dumps({str(path): text.decode("utf-8") for path, text in texts.items()}).encode()
        if self._path.exists() and self._path.read_bytes() == content:
            return
        new = self._path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)

    def load(self) -> dict[Path, bytes]:
        """What is kept; empty where there is nothing that can be read."""
        try:
            kept = json.loads(self._path.read_bytes())
            return {Path(path): text.encode() for path, text in kept.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            log.warning("the last good routing file can't be read: %s", error)
            return {}
