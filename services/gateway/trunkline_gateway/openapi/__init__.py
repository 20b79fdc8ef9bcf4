"""The API document: OpenAPI 3.1, made of the routes, their rules and the very models that validate and answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import JsonValue

from trunkline.auth.policy import ALLOWED, Action
from trunkline.auth.principal import Role
from trunkline_gateway.dialect import Dialect, Route
from trunkline_gateway.openapi import answers, asking, paths
from trunkline_gateway.openapi.shapes import Object, Shapes, gathered

__all__ = ["document"]

VERSION: Final = "3.1.0"
ABOUT: Final = """A self-hosted control plane for coding agents.

Every API that it speaks is here, each under a tag of its own and with errors in its own shape. Everywhere, a request that cannot be read
as HTTP is refused with 400, 414 or 431, and a method that a path does not take with 405. Every answer carries X-Request-Id; a harmless one
that the client sends is kept."""
SCHEMES: Final[Object] = {
    "bearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token with `sub`, `role` and `exp`; from `trunkline token`, `POST /auth/token`, or signed by yourself.",
    },
    "apiKeyAuth": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key of the configuration. Where a token is sent too, the token counts.",
    },
}


def document(dialects: Sequence[Dialect], version: str, server_url: str = "/") -> Object:
    """The same input gives the same document, to the byte. `server_url` may be relative to where the document was found."""
    shapes = gathered(dialects)
    every = [(dialect, route) for dialect in dialects for route in dialect.routes()]
    described: Object = {}
    for path in sorted({paths.plain(route.path) for _, route in every}):
        described[path] = {
            route.method.lower(): _operation(dialect, route, shapes) for dialect, route in every if paths.plain(route.path) == path
        }
    refusals = answers.shared(dialects, shapes)
    return {
        "openapi": VERSION,
        "info": _info(version),
        "servers": [{"url": server_url}],
        "tags": [{"name": name} for name in dict.fromkeys(route.spec.tag for _, route in every)],
        "paths": described,
        "components": {
            "schemas": shapes.used_by(described, refusals),
            "responses": refusals,
            "headers": answers.HEADERS,
            "securitySchemes": SCHEMES,
        },
    }


def _info(version: str) -> Object:
    licence: Object = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    return {"title": "Trunkline", "version": version, "description": ABOUT, "license": licence}


def _operation(dialect: Dialect, route: Route, shapes: Shapes) -> Object:
    spec, roles = route.spec, allowed(dialect, route.rule)
    asked: Object = {"parameters": parameters} if (parameters := asking.parameters(dialect, route, shapes)) else {}
    if spec.body:
        asked["requestBody"] = asking.body(dialect, spec, shapes)
    said = f"{spec.description}\n\n{_who(roles)}" if spec.description else _who(roles)
    return {
        "operationId": paths.name(dialect, route),
        "tags": [spec.tag],
        "summary": spec.summary,
        "description": said,
        **asked,
        "responses": answers.responses(dialect, route, shapes),
        "security": _security(roles),
        "x-action": str(route.rule),
        "x-required-roles": [str(role) for role in roles],
    }


def allowed(dialect: Dialect, rule: Action) -> tuple[Role, ...]:
    """Whose roles allow it, in the order in which the roles are declared. Some are known to a dialect alone that asks about visitors."""
    known = dialect.visitors.roles if dialect.visitors is not None else frozenset()
    return tuple(role for role in Role if rule in ALLOWED[role] and (role not in (Role.GUEST, Role.INSTANCE) or role in known))


def _who(roles: tuple[Role, ...]) -> str:
    return "Open to everybody." if Role.ANONYMOUS in roles else f"Open to the roles {', '.join(roles)}."


def _security(roles: tuple[Role, ...]) -> list[JsonValue]:
    return list(_ways(Role.ANONYMOUS in roles))


def _ways(open_to_all: bool) -> Iterator[JsonValue]:
    if open_to_all:
        yield {}
    for scheme in SCHEMES:
        yield {scheme: []}
