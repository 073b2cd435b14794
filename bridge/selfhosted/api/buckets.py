"""Buckets, and the inputs and outputs in them. Where an ID stands in a path, the name will do."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from aiohttp import web

from bridge.selfhosted.api.changes import Changes
from bridge.selfhosted.api.door import ApiError, Door, Guarded, json_response, read_object
from bridge.selfhosted.documents import bucket_document
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Token

KINDS: Final = ("inputs", "outputs")

PartHandler = Callable[[str, web.Request, Token], Awaitable[web.StreamResponse]]


class Buckets:
    """The handlers."""

    def __init__(self, registry: Registry, changes: Changes) -> None:
        self._registry = registry
        self._changes = changes

    def add_to(self, router: web.UrlDispatcher, door: Door) -> None:
        """Serve them."""
        router.add_get("/v1/buckets", door.reading(self.list), allow_head=False)
        router.add_post("/v1/buckets", door.managing(self.create))
        router.add_get("/v1/buckets/{bucket}", door.reading(self.show), allow_head=False)
        router.add_put("/v1/buckets/{bucket}", door.managing(self.update))
        router.add_delete("/v1/buckets/{bucket}", door.managing(self.remove))
        for kind in KINDS:
            path = f"/v1/buckets/{{bucket}}/{kind}"
            router.add_get(path, door.reading(_of(kind, self.parts)), allow_head=False)
            router.add_post(path, door.managing(_of(kind, self.put_part)))
            router.add_put(f"{path}/{{part}}", door.managing(_of(kind, self.put_part)))
            router.add_delete(f"{path}/{{part}}", door.managing(_of(kind, self.remove_part)))

    async def list(self, _request: web.Request, token: Token) -> web.Response:
        """Every bucket with its inputs and outputs."""
        return json_response([bucket_document(one) for one in self._registry.catalog.visible(token)])

    async def show(self, request: web.Request, token: Token) -> web.Response:
        """One of them."""
        bucket = self._registry.catalog.bucket(request.match_info["bucket"])
        if bucket is None or not token.may_see(bucket):
            raise ApiError(404, "no such bucket")
        return json_response(bucket_document(bucket))

    async def create(self, request: web.Request, _token: Token) -> web.Response:
        """A new one."""
        said = await read_object(request)
        bucket = await self._changes.make(lambda: self._registry.create_bucket(said))
        return json_response(bucket_document(bucket), 201)

    async def update(self, request: web.Request, _token: Token) -> web.Response:
        """Another name, description or authentication."""
        word, said = request.match_info["bucket"], await read_object(request)
        bucket = await self._changes.make(lambda: self._registry.update_bucket(word, said))
        return json_response(bucket_document(bucket))

    async def remove(self, request: web.Request, _token: Token) -> web.Response:
        """One less."""
        word = request.match_info["bucket"]
        await self._changes.make(lambda: self._registry.remove_bucket(word))
        return json_response({"status": "deleted"})

    async def parts(self, kind: str, request: web.Request, token: Token) -> web.Response:
        """The inputs or outputs of a bucket."""
        bucket = self._registry.catalog.bucket(request.match_info["bucket"])
        if bucket is None or not token.may_see(bucket):
            raise ApiError(404, "no such bucket")
        return json_response(bucket_document(bucket)[kind])

    async def put_part(self, kind: str, request: web.Request, _token: Token) -> web.Response:
        """A new input or output, or a change of one."""
        word, part = request.match_info["bucket"], request.match_info.get("part")
        said = await read_object(request)
        document = await self._changes.make(lambda: self._registry.put_part(word, kind, part, said))
        return json_response(document, 201 if part is None else 200)

    async def remove_part(self, kind: str, request: web.Request, _token: Token) -> web.Response:
        """One input or output less."""
        word, part = request.match_info["bucket"], request.match_info["part"]
        await self._changes.make(lambda: self._registry.remove_part(word, kind, part))
        return json_response({"status": "deleted"})


def _of(kind: str, handler: PartHandler) -> Guarded:
    """A handler for one kind of parts."""
    return partial(handler, kind)
