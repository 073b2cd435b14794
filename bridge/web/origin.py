"""Where a request comes from: refuses strangers' pages, and tells browsers what an answer may be used for."""

from pathlib import Path
from typing import Final

from aiohttp import web

from bridge.web.hosts import is_own

MUTATION_HEADER: Final = "X-Relay-Bridge"
"""A page of another origin can't send it without being allowed to, which nobody is."""
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


def check_origin(request: web.Request, listen: tuple[str, int] | Path) -> None:
    """Refuse what another site's page asks for, or asks for by a name that is not the server's.

    Args:
        request: to judge.
        listen: the address and port that are listened at, or the Unix socket.

    Raises:
        HTTPMisdirectedRequest: the server is not known by that name.
        HTTPForbidden: it comes from another origin.
    """
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1 or not is_own(hosts[0], listen):
        raise web.HTTPMisdirectedRequest(text="this server is not known by that name\n")
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
        raise web.HTTPForbidden(text="a page of another origin may not ask here\n")
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in {"same-origin", "none"} and not _is_link(request):
        raise web.HTTPForbidden(text="a page of another origin may not ask here\n")


def check_mutation(request: web.Request) -> None:
    """Refuse a change without the header that other origins can't send.

    Raises:
        HTTPForbidden: it isn't there.
    """
    if request.method not in {"GET", "HEAD"} and MUTATION_HEADER not in request.headers:
        raise web.HTTPForbidden(text=f"the header {MUTATION_HEADER} is needed\n")


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
