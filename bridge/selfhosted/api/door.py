"""What every request of the HTTP interface goes through: credentials, a bounded body, errors as JSON."""

import base64
import binascii
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.errors import BridgeError
from bridge.secret import Secret
from bridge.selfhosted.audit import AUTHOR, Author
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.fields import BadResource
from bridge.selfhosted.gate import Gate, TooManyAttempts
from bridge.selfhosted.registry import ResourceProblem
from bridge.selfhosted.resources import KIB, Token

logger = logging.getLogger(__name__)

API_KEY_USER: Final = "whr"
"""The key of a token that is a single API key."""
LARGEST_DOCUMENT: Final = 256 * KIB

Guarded = Callable[[web.Request, Token], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """A request can't be served; the client is told so.

    Attributes:
        status: of the answer.
        headers: of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class Door:
    """Lets in who has a token that is good for what is asked."""

    def __init__(self, gate: Gate, counters: Counters) -> None:
        self._gate = gate
        self._counters = counters

    def reading(self, handler: Guarded) -> Handler:
        """For who has any token with access to the interface."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await _told(handler, request, await self._token(request))

        return _with_json_errors(handle)

    def managing(self, handler: Guarded) -> Handler:
        """For who may change things: a token that is not confined to some buckets."""

        async def handle(request: web.Request) -> web.StreamResponse:
            token = await self._token(request)
            if token.buckets is not None:
                raise ApiError(403, "this token is confined to some buckets")
            return await _told(handler, request, token)

        return _with_json_errors(handle)

    async def _token(self, request: web.Request) -> Token:
        _refuse_other_origins(request)
        credentials = _credentials(request.headers.get("Authorization", ""))
        address = request.remote or ""
        try:
            token = None if credentials is None else await self._gate.admit(*credentials, address)
        except TooManyAttempts as error:
            raise ApiError(429, str(error), {"Retry-After": str(math.ceil(error.retry_after))}) from None
        except BridgeError as error:
            raise ApiError(503, str(error), {"Retry-After": "5"}) from None
        if token is None:
            self._counters.refused += 1
            asked = {"WWW-Authenticate": 'Basic realm="relay", Bearer realm="relay"'}
            raise ApiError(401, "wrong key or secret", asked)
        if not token.api:
            raise ApiError(403, "this token is for the socket only")
        AUTHOR.set(Author(token.key, address))
        return token


async def read_object(request: web.Request, most: int = LARGEST_DOCUMENT) -> dict[str, Any]:
    """The JSON object in a request, whatever its content type.

    Raises:
        ApiError: there is none.
    """
    try:
        said = orjson.loads(await read_body(request, most))
    except orjson.JSONDecodeError:
        raise ApiError(400, "this is not JSON") from None
    if not isinstance(said, dict):
        raise ApiError(400, "a JSON object is needed")
    return said


async def read_body(request: web.Request, most: int) -> bytes:
    """A bounded body.

    Raises:
        ApiError: it is over the bound.
    """
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most:
            raise ApiError(413, "too large")
    return bytes(body)


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer."""
    body = orjson.dumps(value)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def not_found_but(inputs: Handler) -> Middleware:
    """Has inputs answer at paths that are not the relay's own, which some may have. Else, errors are JSON."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        error = request.match_info.http_exception
        if error is None:
            return await handler(request)
        if error.status == HTTPStatus.NOT_FOUND and not f"{request.rel_url.raw_path}/".startswith("/v1/"):
            return await inputs(request)
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return json_response({"error": error.reason.lower()}, error.status, allowed)

    return handle


async def _told(handler: Guarded, request: web.Request, token: Token) -> web.StreamResponse:
    try:
        return await handler(request, token)
    except BadResource as error:
        raise ApiError(400, str(error)) from None
    except ResourceProblem as error:
        raise ApiError(error.status, str(error)) from None
    except BridgeError as error:
        logger.error("%s %s: %s", request.method, request.path, error)  # noqa: TRY400  # it says where and why
        raise ApiError(503, "the relay can't do this now") from None


def _with_json_errors(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return json_response({"error": str(error)}, error.status, error.headers)

    return handle


def _refuse_other_origins(request: web.Request) -> None:
    """A browser that knows Basic credentials would send them along with whatever any site's page asks for."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2].lower() != request.host.lower():
        raise ApiError(403, "a page of another origin may not ask here")


def _credentials(header: str) -> tuple[str, Secret] | None:
    """Key and secret of `Basic` or `Bearer` credentials; None where they are neither."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return API_KEY_USER, Secret(value.strip())
    try:
        key, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (key, Secret(secret)) if scheme.lower() == "basic" and colon else None
