"""Turns whatever goes wrong on the way to an answer into a refusal in the shape of the API that was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from trunkline.contracts.errors import Broken, DomainError, Invalid, TooLarge
from trunkline_gateway.body import BROKEN_BODY
from trunkline_gateway.dialect import Dialect
from trunkline_gateway.dressing import VISIT
from trunkline_gateway.sse import NO_ROOM

log = structlog.get_logger()

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_AFTER: Final = 2
CLIENT_LEFT: Final = 499
CHALLENGE: Final = 'Bearer realm="trunkline"'
_LEAVE: Final = (BROKEN_BODY, NO_ROOM)
"""After them the connection ends: what else would come by it cannot be read, or it would be one too many."""


async def spoken(request: web.Request, answer: Answering, dialect: Dialect) -> web.StreamResponse:
    """The answer, or its refusal; raises nothing but a cancel."""
    try:
        return await answer(request)
    except Exception as error:  # whatever broke, the answer has the shape of its API
        return refused(error, request, dialect)


def refused(error: Exception, request: web.Request, dialect: Dialect) -> web.Response:
    """What is answered instead."""
    match error:
        case DomainError():
            return _encoded(error, dialect)
        case web.HTTPException():
            return _encoded(_understood(error), dialect)
        case ConnectionResetError():
            return web.Response(status=CLIENT_LEFT)  # nobody is there to read it; the log is
        case _:
            log.error("http.broken", id=request[VISIT].id, exc_info=error)
            return _encoded(Broken("something broke on our side; the request id finds it in the log"), dialect)


def _encoded(error: DomainError, dialect: Dialect) -> web.Response:
    response = dialect.encode_error(error)
    if response.status == 401:
        response.headers["WWW-Authenticate"] = CHALLENGE
    if response.status == 405:
        response.headers["Allow"] = str(error.details.get("allow", ""))
    if response.status in (429, 503) or "retry_after" in error.details:
        response.headers["Retry-After"] = str(error.details.get("retry_after", RETRY_AFTER))
    if response.status in (408, 413) or error.code in _LEAVE:
        response.force_close()  # the rest of the body is not wanted
    return response


def _understood(error: web.HTTPException) -> DomainError:
    """What aiohttp itself refuses, in our words."""
    if error.status == 413:
        return TooLarge("the request is too large", code="PAYLOAD_TOO_LARGE")
    return Invalid("the request cannot be understood", code="INVALID_REQUEST")
