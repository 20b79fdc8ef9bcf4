"""The API document of all dialects together, and two pages that show it, with everything they need on board."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from aiohttp import hdrs, web
from pydantic import BaseModel

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import DomainError, NotFound
from trunkline_gateway import openapi
from trunkline_gateway.apidocs import pages, shipped
from trunkline_gateway.apidocs.shipped import Asset
from trunkline_gateway.dialect import PARTS, Dialect, Media, Route, Spec, status_of

ASSET: Final = shipped.ROOT + "/{digest:[0-9a-f]{32}}/{file:[a-z.-]{1,64}}"
FOR_EVER: Final = "public, max-age=31536000, immutable"

HTML: Final = Media("text/html")
TAG: Final = "docs"
DOCUMENT: Final = Spec("This document", TAG, answers={200: Media("application/json", "OpenAPI 3.1.")})
SWAGGER_UI: Final = Spec("The document in Swagger UI, to try things out", TAG, answers={200: HTML})
REDOC: Final = Spec("The document in ReDoc, to read", TAG, answers={200: HTML})
FILE: Final = Spec(
    "A script or style of these pages",
    TAG,
    "Its path changes when its content does, so it may be kept for ever.",
    answers={200: (Media("text/javascript"), Media("text/css")), 304: Media("", "What the client has is still right.")},
)


class Problem(BaseModel):
    """A refusal."""

    detail: str


@dataclass(slots=True)
class ApiDocs:
    """Describes `others` and itself, once, when somebody first asks: it takes most of a second, and most gateways are never asked."""

    others: Sequence[Dialect]
    version: str
    name: str = field(default=TAG, init=False)
    claims: tuple[str, ...] = field(default=("/docs", "/redoc", "/openapi.json"), init=False)
    error_model: type[BaseModel] = field(default=Problem, init=False)
    strict: bool = field(default=False, init=False)
    visitors: None = field(default=None, init=False)
    _document: bytes = field(default=b"", init=False)
    _drawing: threading.Lock = field(default_factory=threading.Lock, init=False)
    _assets: Mapping[str, Asset] = field(default_factory=shipped.loaded, init=False)

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/openapi.json", Action.LOOK_AROUND, self._say, DOCUMENT),
            Route("GET", "/docs", Action.LOOK_AROUND, self._swagger_ui, SWAGGER_UI),
            Route("GET", "/redoc", Action.LOOK_AROUND, self._redoc, REDOC),
            Route("GET", ASSET, Action.LOOK_AROUND, self._asset, FILE),
        )

    def encode_error(self, error: DomainError) -> web.Response:
        body = Problem(detail=error.message).model_dump_json()
        return web.Response(text=body, status=status_of(error), content_type="application/json")

    async def _say(self, request: web.Request, principal: Principal) -> web.Response:
        body = self._document or await asyncio.to_thread(self._drawn)
        return web.Response(body=body, content_type="application/json")

    def _drawn(self) -> bytes:
        """Beside the loop, for others are answered meanwhile; who asks at the same time waits for the same one."""
        with self._drawing:
            self._document = self._document or orjson.dumps(openapi.document((*self.others, self), self.version))
        return self._document

    async def _swagger_ui(self, request: web.Request, principal: Principal) -> web.Response:
        return _page(pages.swagger_ui(self._assets), pages.POLICY)

    async def _redoc(self, request: web.Request, principal: Principal) -> web.Response:
        return _page(pages.redoc(self._assets), pages.REDOC_POLICY)

    async def _asset(self, request: web.Request, principal: Principal) -> web.Response:
        asset = self._assets.get(request[PARTS]["file"])
        if asset is None or asset.digest != request[PARTS]["digest"]:
            raise NotFound("there is no such file; load the page again")
        headers = {hdrs.CACHE_CONTROL: FOR_EVER, hdrs.ETAG: f'"{asset.digest}"'}
        if any(tag.value in (asset.digest, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.content, content_type=asset.type, charset="utf-8", headers=headers)


def _page(html: str, policy: str) -> web.Response:
    return web.Response(text=html, content_type="text/html", charset="utf-8", headers={"Content-Security-Policy": policy})
