"""Puts the dialects together: one server, errors in the shape of whoever claims the path, one log line a request."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from trunkline.auth.policy import may
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import Broken, Denied, DomainError, Invalid, NotFound, TooLarge, Unsupported
from trunkline_gateway.body import BROKEN_BODY
from trunkline_gateway.dialect import Dialect, Route, owner

log = structlog.get_logger()

Identify = Callable[[web.Request], Principal]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID: Final = web.RequestKey("request_id", str)
CLAIMS: Final = web.AppKey("claims", tuple[str, ...])
"""Every path prefix that a dialect answers for."""
RETRY_AFTER: Final = 2
CLIENT_LEFT: Final = 499
_ID: Final = re.compile(r"\A[A-Za-z0-9_-]{1,64}\Z")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def build(dialects: Sequence[Dialect], identify: Identify) -> web.Application:
    """Raises RuntimeError when two dialects serve one method on one path."""
    app = web.Application(middlewares=[_speaking(dialects)])
    for route in (route for dialect in dialects for route in dialect.routes()):
        answer = _guarded(route, identify)
        app.router.add_route(route.method, route.path, answer)
        if route.method == "GET" and not route.streams:
            app.router.add_route("HEAD", route.path, answer)
    app[CLAIMS] = tuple(claim for dialect in dialects for claim in dialect.claims)
    app.on_response_prepare.append(_dress)
    return app


def _guarded(route: Route, identify: Identify) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        principal = identify(request)
        if not may(principal, route.rule):
            raise Denied(f"the role {principal.role} does not allow {route.rule}")
        return await route.handler(request, principal)

    return answer


def _speaking(dialects: Sequence[Dialect]) -> Middleware:
    @web.middleware
    async def speak(request: web.Request, handler: Answer) -> web.StreamResponse:
        began = asyncio.get_running_loop().time()
        dialect = owner(dialects, request.path)
        request[REQUEST_ID] = _request_id(request)
        status = CLIENT_LEFT
        try:
            response = await _answered(request, handler, dialect)
            status = response.status
            return response
        finally:
            took = round((asyncio.get_running_loop().time() - began) * 1000, 1)
            log.info(
                "http.request", id=request[REQUEST_ID], dialect=dialect.name, method=request.method[:16],
                path=request.path[:200], status=status, took_ms=took,
            )  # fmt: skip

    return speak


async def _answered(request: web.Request, answer: Answer, dialect: Dialect) -> web.StreamResponse:
    try:
        return await answer(request)
    except DomainError as error:
        return _refused(error, dialect)
    except web.HTTPException as error:
        return _refused(_understood(error), dialect)
    except ConnectionResetError:
        return web.Response(status=CLIENT_LEFT)  # nobody is there to read it; the log is
    except Exception:  # whatever broke, the answer has the shape of its API
        log.exception("http.broken", id=request[REQUEST_ID])
        return _refused(Broken("something broke on our side; the request id finds it in the log"), dialect)


def _refused(error: DomainError, dialect: Dialect) -> web.Response:
    response = dialect.encode_error(error)
    if response.status == 405:
        response.headers["Allow"] = str(error.details.get("allow", ""))
    if response.status in (429, 503):
        response.headers["Retry-After"] = str(error.details.get("retry_after", RETRY_AFTER))
    if response.status in (408, 413) or error.code == BROKEN_BODY:
        response.force_close()  # the rest of the body is not wanted, or cannot be told from what follows
    return response


def _understood(error: web.HTTPException) -> DomainError:
    """What aiohttp itself refuses, in our words."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allow = ", ".join(sorted(error.allowed_methods))
        return Unsupported(f"this path takes {allow}", code="METHOD_NOT_ALLOWED", allow=allow)
    if error.status == 404:
        return NotFound("nothing answers at this path")
    if error.status == 413:
        return TooLarge("the request is too large", code="PAYLOAD_TOO_LARGE")
    return Invalid("the request cannot be understood", code="INVALID_REQUEST")


def _request_id(request: web.Request) -> str:
    """The caller's, when it is harmless, so that its log and ours meet."""
    given = request.headers.get("X-Request-Id", "")
    return given if _ID.match(given) else uuid.uuid4().hex


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "trunkline"
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
