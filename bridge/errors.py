"""The error tree: whose fault it is, and whether trying again can help.

Foreign exceptions are translated at the edge of the adapter that sees them; inside, only these travel.
"""

from enum import Enum
from typing import ClassVar


class Fault(Enum):
    """Who has to act on an error."""

    BRIDGE = "bridge"
    CONFIGURATION = "configuration"
    RELAY = "relay"
    SENDER = "sender"
    TARGET = "target"
    SYSTEM = "system"


class BridgeError(Exception):
    """Base of all errors of this package. `str(error)` is fit for a log: it holds no secret."""

    fault: ClassVar[Fault] = Fault.BRIDGE
    retry: ClassVar[bool] = False


class ConfigError(BridgeError):
    """The routing file can't be used; the message names what and where."""

    fault = Fault.CONFIGURATION


class TemplateError(BridgeError):
    """A template can't be compiled. Raised when the routing file is loaded.

    Attributes:
        offset: characters from the template's start to the mistake, where known.
    """

    fault = Fault.CONFIGURATION

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


class ConditionError(BridgeError):
    """A condition of `match` can't be compiled (unknown source, bad regular expression)."""

    fault = Fault.CONFIGURATION


class RenderError(BridgeError):
    """A template failed on one webhook, or yielded what its place forbids. Only that delivery is dead."""

    fault = Fault.SENDER


class FrameError(BridgeError):
    """A frame that is not a message of the relay's protocol.

    Attributes:
        code: a short stable word for counters: garbage, duplicate-key, not-an-object, binary, …
    """

    fault = Fault.RELAY

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RelayError(BridgeError):
    """The relay can't be reached, or ended the conversation."""

    fault = Fault.RELAY
    retry = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CredentialsRefused(RelayError):
    """The relay said `unauthorized`. Retried slowly, at once when the credentials change."""

    fault = Fault.CONFIGURATION


class RedirectRefused(RelayError):
    """The relay redirected to another host; following it would carry the credentials there."""


class JournalError(BridgeError):
    """The journal can't be used."""

    fault = Fault.SYSTEM


class JournalBusy(JournalError):
    """Another instance holds the journal."""


class JournalNewer(JournalError):
    """The journal was written by a newer version, and is left untouched."""


class JournalFull(JournalError):
    """The journal or its disk has no room."""

    retry = True
