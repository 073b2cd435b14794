"""References to what does not stand in the routing file: `${NAME}`, `${file:/path}`, `${credential:name}`.

Filled in after YAML was parsed, and only in values, so that no secret can change the file's structure.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.config.files import read_file
from bridge.errors import ConfigError

LARGEST_FILE: Final = 64 * 1024


def _read(path: Path) -> bytes:
    return read_file(path, LARGEST_FILE)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where references are looked up."""

    folder: Path = Path()
    """Relative `file:` paths start here."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    read: Callable[[Path], bytes] = _read
    """The bytes of a file of at most 64 KiB; ConfigError where it can't be read."""

    def fill(self, text: str, complain: Callable[[int, str], None]) -> str:
        """The text with every reference filled in; `$${` stands for `${`.

        Args:
            text: a value of the file.
            complain: called for each reference that can't be filled in, with its offset in the text and a
                message that names it; no message holds a value.
        """

        def replace(found: re.Match[str]) -> str:
            try:
                return self._value(found)
            except ConfigError as error:
                complain(found.start(), str(error))
                return ""

        return _REFERENCE.sub(replace, text) if "${" in text else text

    def _value(self, found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        name = found["name"]
        if name is None:
            raise ConfigError("this is none of ${NAME}, ${file:/path} and ${credential:name}")
        kind, separator, rest = name.partition(":")
        if not separator:
            value = self._variable(name)
        elif kind == "file":
            value = self._file(self.folder / rest)
        else:
            value = self._file(self._credentials() / rest)
        if not value:
            raise ConfigError(f"${{{name}}} is empty")
        return value

    def _variable(self, name: str) -> str:
        value = self.environment.get(name)
        if value is None:
            raise ConfigError(f"the environment variable {name} is not set")
        if _SURROGATE.search(value):
            raise ConfigError(f"the environment variable {name} is not UTF-8 text")
        return value

    def _credentials(self) -> Path:
        folder = self.environment.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise ConfigError("there are no credentials: CREDENTIALS_DIRECTORY is not set")
        return Path(folder)

    def _file(self, path: Path) -> str:
        try:
            text = self.read(path).decode()
        except UnicodeDecodeError:
            raise ConfigError(f"{path} is not UTF-8 text") from None
        return text.removesuffix("\n").removesuffix("\r")


_REFERENCE = re.compile(
    r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*|file:[^}\x00]+|credential:(?!\.{1,2}\})[A-Za-z0-9._-]+)\})?"
)
_SURROGATE = re.compile("[\ud800-\udfff]")  # how Python shows bytes of the environment that are no text
