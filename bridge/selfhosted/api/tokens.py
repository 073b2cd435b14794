"""Tokens. The secret is in the answer that makes one, and nowhere else."""

from aiohttp import web

from bridge.selfhosted.api.changes import Changes
from bridge.selfhosted.api.door import Door, json_response, read_object
from bridge.selfhosted.documents import token_document
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Token


class Tokens:
    """The handlers."""

    def __init__(self, registry: Registry, changes: Changes) -> None:
        self._registry = registry
        self._changes = changes

    def add_to(self, router: web.UrlDispatcher, door: Door) -> None:
        """Serve them."""
        router.add_get("/v1/tokens", door.managing(self.list), allow_head=False)
        router.add_post("/v1/tokens", door.managing(self.create))
        router.add_put("/v1/tokens/{token}", door.managing(self.update))
        router.add_delete("/v1/tokens/{token}", door.managing(self.remove))

    async def list(self, _request: web.Request, _token: Token) -> web.Response:
        """All of them, the declared ones first."""
        catalog = self._registry.catalog
        tokens = [*catalog.declared_tokens, *catalog.made_tokens.values()]
        return json_response([token_document(one) for one in tokens])

    async def create(self, request: web.Request, _token: Token) -> web.Response:
        """A new one: its key and its secret."""
        said = await read_object(request)
        made, secret = await self._changes.make(lambda: self._registry.create_token(said))
        return json_response({"key": made.key, "secret": secret}, 201)

    async def update(self, request: web.Request, _token: Token) -> web.Response:
        """Another description, other buckets, or not active any more."""
        key, said = request.match_info["token"], await read_object(request)
        changed = await self._changes.make(lambda: self._registry.update_token(key, said))
        return json_response(token_document(changed))

    async def remove(self, request: web.Request, _token: Token) -> web.Response:
        """One less; its connections end."""
        key = request.match_info["token"]
        await self._changes.make(lambda: self._registry.remove_token(key))
        return json_response({"status": "deleted"})
