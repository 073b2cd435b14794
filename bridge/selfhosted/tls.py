"""TLS of the relay's own: certificate files, which are used as they are now when they change."""

import logging
import ssl

from bridge.errors import ConfigError
from bridge.selfhosted.resources import TlsFiles
from bridge.watch import FileWatch

logger = logging.getLogger(__name__)


class TlsError(ConfigError):
    """The certificate files can't be used."""


class Certificate:
    """The certificate that new connections are shown.

    Args:
        files: where it is.

    Raises:
        TlsError: they can't be used.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._watch: FileWatch | None = None
        self.context = _context(files)

    def watch(self) -> None:
        """Use what is in the files from now on, whenever that changes."""
        self._watch = FileWatch(self._reload)
        self._watch.watch([self._files.certificate, self._files.key])

    def close(self) -> None:
        """Look no more."""
        if self._watch is not None:
            self._watch.close()

    def _reload(self) -> None:
        """Two files can't be replaced at once: until they belong together, nothing changes."""
        try:
            _context(self._files)
            _load(self.context, self._files)
        except TlsError as error:
            logger.error("the certificate is left as it was: %s", error)  # noqa: TRY400  # it says where and why
        else:
            logger.info("%s is used as it is now", self._files.certificate)


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        # Without a password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except ssl.SSLError as error:
        reason = error.reason or "no PEM files, or the key is protected by a password"
        raise TlsError(f"{files.certificate} and {files.key}: {reason}") from error
    except OSError as error:
        raise TlsError(f"{files.certificate} and {files.key}: {error.strerror}") from error
