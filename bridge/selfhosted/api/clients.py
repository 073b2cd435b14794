"""Who is subscribed: `GET /v1/connected-clients`."""

from typing import Any

from aiohttp import web

from bridge.selfhosted.api.door import Door, json_response
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Token
from bridge.selfhosted.session import Session
from bridge.selfhosted.sockets import Sockets


class Clients:
    """The handler."""

    def __init__(self, registry: Registry, sockets: Sockets) -> None:
        self._registry = registry
        self._sockets = sockets

    def add_to(self, router: web.UrlDispatcher, door: Door) -> None:
        """Serve it."""
        router.add_get("/v1/connected-clients", door.reading(self.list), allow_head=False)

    async def list(self, _request: web.Request, token: Token) -> web.Response:
        """The clients that get webhooks of buckets that the asking token may see."""
        visible = {one.id: one.name for one in self._registry.catalog.visible(token)}
        found = [_described(one, visible) for one in self._sockets.sessions]
        return json_response([one for one in found if one["buckets"] or token.buckets is None])


def _described(session: Session, visible: dict[str, str]) -> dict[str, Any]:
    subscriber = session.subscriber
    buckets = subscriber.buckets if subscriber else frozenset()
    return {
        "key": subscriber.token.key if subscriber else "",
        "client_ip": session.address,
        "client_version": session.client_version,
        "subscribed_at": int(session.subscribed_at),
        "buckets": sorted(visible[one] for one in buckets & visible.keys()),
        "group": session.wanted.group if session.wanted else "",
        "acknowledges": subscriber.explicit if subscriber else False,
    }
