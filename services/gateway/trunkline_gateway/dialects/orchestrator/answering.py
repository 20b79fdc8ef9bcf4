"""Puts what was encoded on the wire."""

from __future__ import annotations

import orjson
from aiohttp import web

from trunkline_gateway.dialects.orchestrator.encode import Object
from trunkline_gateway.dressing import JSON


def json(body: Object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=JSON)
