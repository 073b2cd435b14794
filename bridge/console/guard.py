"""Who may ask the console for what. Every request passes here before anything else looks at it."""

import hashlib
import hmac
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.console.failures import Failures
from bridge.console.hosts import is_own
from bridge.secret import Secret

COOKIE: Final = "relay-bridge"
COOKIE_SECONDS: Final = 30 * 86_400
MUTATION_HEADER: Final = "X-Relay-Bridge"
"""A page of another origin can't send it without being allowed to, which nobody is."""
OPEN: Final = frozenset({"/", "/login", "/healthz"})
"""Answered without the token: the page is the login form then."""
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
"""The content security policy of what is no page."""


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
        self._check_origin(request)
        if request.path not in OPEN and not self.knows(request):
            raise web.HTTPUnauthorized(
                text="the console's token is needed\n", headers={"WWW-Authenticate": "Bearer"}
            )
        return await handler(request)

    def _check_origin(self, request: web.Request) -> None:
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not is_own(hosts[0], self._listen):
            raise web.HTTPMisdirectedRequest(text="this console is not known by that name\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
            raise web.HTTPForbidden(text="a page of another origin may not ask here\n")
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site not in {"same-origin", "none"} and not _is_link(request):
            raise web.HTTPForbidden(text="a page of another origin may not ask here\n")
        if request.method not in {"GET", "HEAD"} and request.path != "/login":
            _check_mutation(request)

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


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Say with each response what a browser may do with it."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Content-Security-Policy", NOTHING)
    response.headers.pop("Server", None)


def _is_link(request: web.Request) -> bool:
    """Whether somebody followed a link to the page; other sites learn nothing by that."""
    return (
        request.method == "GET"
        and request.path == "/"
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest", "document") == "document"
    )


def _check_mutation(request: web.Request) -> None:
    if MUTATION_HEADER not in request.headers:
        raise web.HTTPForbidden(text=f"the header {MUTATION_HEADER} is needed\n")


def _pass(token: Secret) -> str:
    """What stands for the token in a browser: of no use elsewhere, and worth nothing under another token."""
    return hmac.new(token.reveal().encode(), b"relay-bridge console", hashlib.sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
