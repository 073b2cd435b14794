"""Who may ask the console for what. Every request passes here before anything else looks at it."""

import hashlib
import hmac
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.console.failures import Failures
from bridge.secret import Secret
from bridge.web.origin import check_mutation, check_origin

COOKIE: Final = "relay-bridge"
COOKIE_SECONDS: Final = 30 * 86_400
OPEN: Final = frozenset({"/", "/login", "/healthz"})
"""Answered without the token: the page is the login form then."""


class Guard:
    """Judges requests by where they come from, and by the token where there is one.

    Args:
        listen: the address and port that are listened at, or the Unix socket.
        token: what a request needs; None: nothing.
        failures: of the token.
    """

    def __init__(self, listen: tuple[str, int] | Path, token: Secret | None, failures: Failures) -> None:
        self._listen = listen
        self._token = token
        self._failures = failures

    async def judge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the handler answer, or refuse."""
        check_origin(request, self._listen)
        if request.path != "/login":  # a form can't send the header
            check_mutation(request)
        if request.path not in OPEN and not self.knows(request):
            raise web.HTTPUnauthorized(
                text="the console's token is needed\n", headers={"WWW-Authenticate": "Bearer"}
            )
        return await handler(request)

    # The token

    def knows(self, request: web.Request) -> bool:
        """Whether the request needs no token, or has it.

        Raises:
            HTTPTooManyRequests: its address was wrong too often.
        """
        if self._token is None or self._has_cookie(request, self._token):
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.accepts(request, given.strip())

    def accepts(self, request: web.Request, given: str) -> bool:
        """Whether this is the token; a wrong one counts against the address.

        Raises:
            HTTPTooManyRequests: it was wrong too often.
        """
        address = request.remote or ""
        wait = self._failures.wait(address)
        if wait:
            raise web.HTTPTooManyRequests(
                text="too many wrong tokens\n", headers={"Retry-After": str(int(wait) + 1)}
            )
        right = self._token is not None and _same(given, self._token.reveal())
        if not right:
            self._failures.note(address)
        return right

    def let_in(self, response: web.Response) -> None:
        """Have the browser known by a cookie from now on."""
        if self._token is not None:
            response.set_cookie(
                COOKIE,
                _pass(self._token),
                max_age=COOKIE_SECONDS,
                httponly=True,
                samesite="Strict",
            )

    @staticmethod
    def _has_cookie(request: web.Request, token: Secret) -> bool:
        return _same(request.cookies.get(COOKIE, ""), _pass(token))


def middleware(guard: Guard) -> Middleware:
    """What puts the guard before an application."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard.judge(request, handler)

    return guarded


def _pass(token: Secret) -> str:
    """What stands for the token in a browser: of no use elsewhere, and worth nothing under another token."""
    return hmac.new(token.reveal().encode(), b"relay-bridge console", hashlib.sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
