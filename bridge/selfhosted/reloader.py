"""Notices that the relay's file or its resources changed, and has the relay take up what can be used."""

import logging
from pathlib import Path

from bridge.errors import BridgeError
from bridge.selfhosted.nodes import SettingsError
from bridge.selfhosted.server import SelfHostedRelay
from bridge.selfhosted.settings import read_settings
from bridge.selfhosted.shelf import FILE
from bridge.watch import FileWatch

logger = logging.getLogger(__name__)


class Reloader:
    """Watches files for a relay that runs.

    Args:
        relay: that is told.
        file: its settings.
        state: its state folder; None where it has none.
    """

    def __init__(self, relay: SelfHostedRelay, file: Path, state: Path | None) -> None:
        self._relay = relay
        self._file = file
        self._settings = read_settings(file)
        self._watch = FileWatch(self._look)
        self._watch.watch([file] if state is None else [file, state / FILE])

    def close(self) -> None:
        """Look no more."""
        self._watch.close()

    def _look(self) -> None:
        """What can't be used changes nothing: the relay goes on with what it has."""
        try:
            settings = read_settings(self._file)
            if settings.declared() != self._settings.declared():
                self._relay.use(settings)
                self._settings = settings
                logger.info("%s is used as it is now", self._file)
            else:
                self._relay.refresh()
        except SettingsError as error:
            logger.error("%s", error)  # noqa: TRY400  # every problem with its place; the traceback says nothing
        except BridgeError as error:
            logger.error("what the interface made is left as it was: %s", error)  # noqa: TRY400  # as above
