"""Who is let in. Hashes are checked in a thread, and what was found out is remembered for a while.

Without that, a hundred clients that return after a restart of the relay would cost a core for many seconds.
Neither the answer nor its time tells whether a key exists: an unknown one is checked against a hash too.
"""

import asyncio
import hmac
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bridge.errors import BridgeError, Fault
from bridge.secret import Secret
from bridge.selfhosted.hashes import fits, hash_secret
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Token

REMEMBERED: Final = 2000
"""Credentials of either kind."""
MOST_WAITING: Final = 200
"""Different credentials that wait for the thread."""


class GateBusy(BridgeError):
    """Nobody can find out now whether these credentials are good."""

    fault = Fault.SYSTEM
    retry = True


class Gate:
    """Finds the token that credentials belong to."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # What is remembered is no secret of anybody, not even of the relay that runs next.
        self._pepper = secrets.token_bytes(32)
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._bad: OrderedDict[bytes, None] = OrderedDict()
        self._executor: Final = ThreadPoolExecutor(1, thread_name_prefix="relay-hashes")
        self._checks: dict[bytes, asyncio.Future[bool]] = {}
        self._nobody = ""

    async def admit(self, key: str, secret: Secret) -> Token | None:
        """The token with this key and secret; None where there is none that is active.

        Raises:
            GateBusy: ask again later.
            HashesUnavailable: there are tokens that can't be checked here.
        """
        catalog = self._registry.catalog
        # Every declared token is looked at, whichever fits.
        declared = [one for one in catalog.declared_tokens if one.admits(key, secret)]
        if declared or not catalog.made_tokens:
            return next(iter(declared), None)
        token = catalog.made_tokens.get(key)
        known = token.hash if token else ""
        if not await self._fits(f"{known}\0{key}\0{secret.reveal()}", secret, known):
            return None
        return token if token is not None and token.active else None

    def close(self) -> None:
        """Check nothing any more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _fits(self, what: str, secret: Secret, known: str) -> bool:
        digest = hmac.digest(self._pepper, what.encode("utf-8", "surrogatepass"), "sha256")
        for memory, verdict in ((self._good, True), (self._bad, False)):
            if digest in memory:
                memory.move_to_end(digest)
                return verdict
        check = self._checks.get(digest)
        if check is None:
            if len(self._checks) >= MOST_WAITING:
                raise GateBusy("too many credentials wait to be checked")
            loop = asyncio.get_running_loop()
            check = loop.run_in_executor(self._executor, self._check, secret.reveal(), known)
            self._checks[digest] = check
            check.add_done_callback(lambda done: self._remember(digest, done))
        return await asyncio.shield(check)

    def _remember(self, digest: bytes, check: asyncio.Future[bool]) -> None:
        del self._checks[digest]
        if check.cancelled() or check.exception() is not None:
            return
        memory = self._good if check.result() else self._bad
        memory[digest] = None
        if len(memory) > REMEMBERED:
            memory.popitem(last=False)

    def _check(self, secret: str, known: str) -> bool:
        if known:
            return fits(secret, known)
        self._nobody = self._nobody or hash_secret(secrets.token_urlsafe(32))
        fits(secret, self._nobody)  # for the time that it takes
        return False
