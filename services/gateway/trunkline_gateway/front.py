"""The front door: what this is, whether it is ready, and plain JSON errors for every path that nobody claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import orjson
from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import DomainError
from trunkline_gateway.dialect import Route, status_of
from trunkline_gateway.ports import Readiness


@dataclass(slots=True)
class Front:
    """Claims every path that is left."""

    readiness: Readiness
    version: str
    public_url: str
    name: str = field(default="front", init=False)
    claims: tuple[str, ...] = field(default=("/",), init=False)
    _was_ready: bool = field(default=False, init=False)

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/", Action.READ_HEALTH, self._welcome), Route("GET", "/health", Action.READ_HEALTH, self._health))

    def encode_error(self, error: DomainError) -> web.Response:
        said = {"error": error.message, "message": error.message, "code": error.code, "details": error.details}
        return _json(said, status_of(error))

    async def _welcome(self, request: web.Request, principal: Principal) -> web.Response:
        return _json({"service": "trunkline", "version": self.version, "url": self.public_url, "health": "/health"})

    async def _health(self, request: web.Request, principal: Principal) -> web.Response:
        bus = self.readiness.bus()
        services = dict(await self.readiness.services())
        ready = bus and all(services.values())
        self._was_ready = self._was_ready or ready
        status = "ok" if ready else "degraded" if self._was_ready else "starting"
        words = {name: "ready" if up else "down" for name, up in services.items()}
        body = {"status": status, "services": words, "nats": NATS[bus], "version": self.version}
        return _json(body, 200 if ready else 503)


NATS: Final = {True: "connected", False: "disconnected"}


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
