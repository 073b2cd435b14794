"""Encryption of what is kept on the disk: AES-256-GCM, from the extra `encryption`. Without a key, none.

Each record has a nonce of its own. So that these may be random however long a relay runs, the key of each
process is another one: it follows from the relay's key and a salt, which is written into the record.
"""

import base64
import binascii
import hmac
import os
import sqlite3
from functools import lru_cache
from typing import Any, Final, Protocol

from bridge.errors import ConfigError
from bridge.secret import Secret

KEY: Final = 32
_SALT: Final = 16
_NONCE: Final = 12
_PROOF: Final = "proof"


class VaultError(ConfigError):
    """What is kept can't be read with this key."""


class Vault(Protocol):
    """How records are kept."""

    is_locked: bool
    """Whether nobody can read them without a key."""

    def seal(self, data: bytes, place: str) -> bytes:
        """A record as it is kept. It can be opened at the same place only."""

    def open(self, record: bytes, place: str) -> bytes:
        """What a record holds.

        Raises:
            VaultError: it was sealed with another key or at another place, or changed.
        """


class Plain:
    """No encryption."""

    is_locked = False

    def seal(self, data: bytes, place: str) -> bytes:  # noqa: ARG002  # as `Vault` has it
        """As `Vault`."""
        return data

    def open(self, record: bytes, place: str) -> bytes:  # noqa: ARG002  # as `Vault` has it
        """As `Vault`."""
        return record


class Locked:
    """AES-256-GCM.

    Args:
        key: of KEY bytes.

    Raises:
        VaultError: the library is not installed.
    """

    is_locked = True

    def __init__(self, key: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # an extra
        except ImportError:
            message = "state_key needs a library: pip install 'relay-bridge[encryption]'"
            raise VaultError(message) from None
        self._salt = os.urandom(_SALT)

        @lru_cache(maxsize=64)
        def cipher(salt: bytes) -> AESGCM:
            return AESGCM(hmac.digest(key, salt, "sha256"))

        self._cipher = cipher

    def seal(self, data: bytes, place: str) -> bytes:
        """As `Vault`."""
        nonce = os.urandom(_NONCE)
        return self._salt + nonce + self._cipher(self._salt).encrypt(nonce, data, place.encode())

    def open(self, record: bytes, place: str) -> bytes:
        """As `Vault`."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # an extra

        nonce, sealed = record[_SALT : _SALT + _NONCE], record[_SALT + _NONCE :]
        try:
            return self._cipher(record[:_SALT]).decrypt(nonce, sealed, place.encode())
        except (InvalidTag, ValueError):
            raise VaultError("it was sealed with another key or for another place, or was changed") from None


def vault_of(key: Secret | None) -> Vault:
    """The vault of a relay with this `state_key`.

    Raises:
        VaultError: there can't be one.
    """
    return Plain() if key is None else Locked(parse_key(key.reveal()))


def parse_key(text: str) -> bytes:
    """The key that a text stands for.

    Raises:
        VaultError: none.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY:
        raise VaultError(f"{KEY} bytes in base64 are needed: openssl rand -base64 {KEY}")
    return key


def admit(database: sqlite3.Connection, vault: Vault) -> None:
    """Find out whether a database was made with this vault's key; one that is empty is from now on.

    Raises:
        VaultError: it was made with another key, or is not encrypted where it should be, or the reverse.
    """
    is_new = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if is_new and vault.is_locked:
        # One statement: after a crash in between, nobody could tell.
        database.execute("CREATE TABLE vault AS SELECT ? AS proof", (vault.seal(b"", _PROOF),))
    proof = _proof(database)
    if vault.is_locked and proof is None:
        raise VaultError("it is not encrypted, so it can't be used with a state_key")
    if not vault.is_locked and proof is not None:
        raise VaultError("it is encrypted: the state_key is needed that it was made with")
    if proof is not None:
        try:
            vault.open(proof, _PROOF)
        except VaultError:
            raise VaultError("it is encrypted with another state_key") from None


def _proof(database: sqlite3.Connection) -> Any:
    known = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'vault'").fetchone()[0]
    return database.execute("SELECT proof FROM vault").fetchone()[0] if known else None
