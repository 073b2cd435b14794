"""`GET /v1/openapi.json`: the interface described for programs, written by hand in `openapi.yaml`."""

from functools import cache
from importlib.resources import files

import orjson
import yaml
from aiohttp import web


@cache
def openapi() -> bytes:
    """The document as JSON."""
    text = (files(__package__) / "openapi.yaml").read_text("utf-8")
    return orjson.dumps(yaml.safe_load(text))


async def serve(_request: web.Request) -> web.Response:
    """It is no secret."""
    return web.Response(body=openapi(), content_type="application/json")
