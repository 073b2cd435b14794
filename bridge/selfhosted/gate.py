"""Who is let in. Hashes are checked in a thread, and what was found out is remembered for a while.

Without that, a hundred clients that return after a restart of the relay would cost a core for many seconds.
Neither the answer nor its time tells whether a key exists: an unknown one is checked against a hash too.
"""

import asyncio
import hmac
import secrets
import time
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bridge.errors import BridgeError, Fault
from bridge.secret import Secret
from bridge.selfhosted.attempts import Attempts
from bridge.selfhosted.hashes import fits, hash_secret
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Rate, Token

REMEMBERED: Final = 2000
"""Credentials of either kind."""
MOST_WAITING: Final = 200
"""Different credentials that wait for the thread."""
MOST_OF_ONE: Final = 50
"""Of these, such that came from one address."""
ATTEMPTS: Final = Rate(20, 40.0)
"""Wrong ones of an address. A client that retries every 3 s for ever, as some do, stays below that."""


class GateBusy(BridgeError):
    """Nobody can find out now whether these credentials are good."""

    fault = Fault.SYSTEM
    retry = True


class TooManyAttempts(BridgeError):
    """An address showed wrong credentials too often.

    Attributes:
        retry_after: seconds until it may try again.
    """

    fault = Fault.CONFIGURATION
    retry = True

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many wrong credentials")
        self.retry_after = retry_after


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
        self._checks_of: Counter[str] = Counter()
        self._attempts = Attempts(ATTEMPTS)
        self._nobody = ""

    def check(self, address: str) -> None:
        """Find out whether an address may try.

        Raises:
            TooManyAttempts: it has to wait, whatever it would show.
        """
        if wait := self._attempts.wait(address, time.monotonic()):
            raise TooManyAttempts(wait)

    async def admit(self, key: str, secret: Secret, address: str) -> Token | None:
        """The token with this key and secret; None where there is none that is active.

        Args:
            key: of a token, maybe.
            secret: of the token, maybe.
            address: who shows them.

        Raises:
            TooManyAttempts: they were not looked at.
            GateBusy: ask again later.
            HashesUnavailable: there are tokens that can't be checked here.
        """
        self.check(address)
        try:
            token = await self._find(key, secret, address)
        except asyncio.CancelledError:  # who leaves before the answer can't guess for free
            self._attempts.failed(address, time.monotonic())
            raise
        if token is None:
            self._attempts.failed(address, time.monotonic())
        return token

    async def _find(self, key: str, secret: Secret, address: str) -> Token | None:
        catalog = self._registry.catalog
        # Every declared token is looked at, whichever fits.
        declared = [one for one in catalog.declared_tokens if one.admits(key, secret)]
        if declared or not catalog.made_tokens:
            return next(iter(declared), None)
        token = catalog.made_tokens.get(key)
        known = token.hash if token else ""
        if not await self._fits(f"{known}\0{key}\0{secret.reveal()}", secret, known, address):
            return None
        return token if token is not None and token.active else None

    def close(self) -> None:
        """Check nothing any more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _fits(self, what: str, secret: Secret, known: str, address: str) -> bool:
        digest = hmac.digest(self._pepper, what.encode("utf-8", "surrogatepass"), "sha256")
        for memory, verdict in ((self._good, True), (self._bad, False)):
            if digest in memory:
                memory.move_to_end(digest)
                return verdict
        check = self._checks.get(digest)
        if check is None:
            check = self._checks[digest] = self._started(secret, known, address)
            check.add_done_callback(lambda done: self._remember(digest, done))
        return await asyncio.shield(check)

    def _started(self, secret: Secret, known: str, address: str) -> asyncio.Future[bool]:
        if len(self._checks) >= MOST_WAITING or self._checks_of[address] >= MOST_OF_ONE:
            raise GateBusy("too many credentials wait to be checked")
        loop = asyncio.get_running_loop()
        check = loop.run_in_executor(self._executor, self._check, secret.reveal(), known)
        self._checks_of[address] += 1
        check.add_done_callback(lambda _done: self._ended(address))
        return check

    def _ended(self, address: str) -> None:
        self._checks_of[address] -= 1
        if not self._checks_of[address]:
            del self._checks_of[address]

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
