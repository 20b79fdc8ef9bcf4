"""What a route may answer: what it says itself, and what every route of its kind may refuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from trunkline.auth.policy import ALLOWED, Action
from trunkline.auth.principal import Role
from trunkline_gateway.dialect import Answer, Dialect, Media, Route
from trunkline_gateway.openapi import paths
from trunkline_gateway.openapi.links import links
from trunkline_gateway.openapi.shapes import Object, Shapes, each, titled

JSON: Final = "application/json"
ROOT: Final = "#/components/responses/"
LIMITED: Final = 429
_MAYBE: Final = "A change may have been done all the same; sent again with the same Idempotency-Key, it is not made twice."
MEANINGS: Final = {
    200: "Done.",
    201: "Made.",
    202: "Taken; it will be done.",
    204: "Done; there is nothing to say.",
    304: "What the client has is still the newest.",
    400: "The request cannot be understood, or breaks a rule of its form.",
    401: "No credential, or one that is not valid.",
    403: "The credential does not allow this; or a page of another origin, or another host name, is behind the request.",
    404: "Nothing by that name that the caller may see.",
    405: "The path does not take this method.",
    408: "The body did not arrive in time.",
    409: "The thing is in a state that does not allow this; or a request with the same Idempotency-Key is not answered yet.",
    413: "The body is too large.",
    414: "The path and its query are longer than 8192 bytes.",
    415: "The body is no application/json in UTF-8, or is compressed.",
    422: "The form is right and the content cannot be taken; or the Idempotency-Key was used for another request.",
    429: "A limit is used up. Come back after `Retry-After` seconds.",
    431: "The headers are too large.",
    500: "A defect on this side; the request id finds it in the log.",
    501: "Not offered here.",
    503: f"Whoever has to answer does not do so now. {_MAYBE} Come back after `Retry-After` seconds.",
    504: f"The deadline passed before anybody said that it was done. {_MAYBE}",
}

_NUMBER: Final[Object] = {"type": "integer", "minimum": 0}
_TEXT: Final[Object] = {"type": "string"}
REPLAYED: Final = "Idempotency-Replayed"
HEADERS: Final[Object] = {
    "X-RateLimit-Limit": {"description": "How many the window takes.", "schema": _NUMBER},
    "X-RateLimit-Remaining": {"description": "How many it still takes.", "schema": _NUMBER},
    "X-RateLimit-Reset": {"description": "When it takes more again, in seconds since 1970.", "schema": _NUMBER},
    "Retry-After": {"description": "Seconds to wait.", "schema": _NUMBER},
    "WWW-Authenticate": {"description": "How to show who one is.", "schema": _TEXT},
    REPLAYED: {"description": "`true` where this is the stored answer to an earlier request with the same key.", "schema": _TEXT},
}


def responses(dialect: Dialect, route: Route, shapes: Shapes) -> Object:
    """By status, as text, in order."""
    found = dict(_every(dialect, route, shapes))
    return {str(status): found[status] for status in sorted(found)}


def _every(dialect: Dialect, route: Route, shapes: Shapes) -> Iterator[tuple[int, Object]]:
    spec = route.spec
    for status, answer in spec.answers.items():
        headers = _headers(status, limited=bool(route.limit or route.counts), kept=route.remembers)
        next_ones: Object = {"links": found} if (found := links(dialect, route, status, shapes)) else {}
        yield status, {**_response(dialect, status, answer, shapes), **headers, **next_ones}
    for status in _refusals(dialect, route):
        yield status, _refusal(dialect, status, spec.error, shapes) if spec.error else {"$ref": ROOT + shared_name(dialect, status)}


def shared(dialects: Sequence[Dialect], shapes: Shapes) -> Object:
    """The refusals that the routes of a dialect have in common, by name."""
    alike = ((dialect, route) for dialect in dialects for route in dialect.routes() if not route.spec.error)
    every = [(dialect, status) for dialect, route in alike for status in _refusals(dialect, route)]
    found = {shared_name(dialect, status): _refusal(dialect, status, dialect.error_model, shapes) for dialect, status in every}
    return {name: found[name] for name in sorted(found)}


def shared_name(dialect: Dialect, status: int) -> str:
    return f"{titled(dialect.name)}{status}"


def _refusals(dialect: Dialect, route: Route) -> set[int]:
    return {*_by_nature(dialect, route), *route.spec.refusals} - route.spec.answers.keys()


def _refusal(dialect: Dialect, status: int, error: Answer, shapes: Shapes) -> Object:
    return {**_response(dialect, status, error, shapes), **_headers(status, limited=status == LIMITED)}


def _by_nature(dialect: Dialect, route: Route) -> Iterator[int]:
    """Roles and the door refuse with 403, the filter in front of everything with 429, and what cannot be read as HTTP 400, 414 or 431."""
    spec, named = route.spec, bool(paths.patterns(route.path))
    yield from (400, 403, 414, LIMITED, 431, 500, 503)
    if dialect.strict or dialect.visitors is not None or route.rule not in ALLOWED[Role.ANONYMOUS]:
        yield 401
    if named:
        yield 404
    if spec.body:
        yield from (408, 413, 415, 422)
    if route.remembers:
        yield from (408, 409, 413, 422)
    if route.rule is not Action.LOOK_AROUND:
        yield 504


def _response(dialect: Dialect, status: int, answer: Answer | tuple[Answer, ...], shapes: Shapes) -> Object:
    described = next((one.description for one in each(answer) if isinstance(one, Media) and one.description), MEANINGS.get(status, ""))
    content: Object = dict(_content(dialect, one, shapes) for one in each(answer) if not (isinstance(one, Media) and not one.type))
    return {"description": described, "content": content} if content else {"description": described}


def _content(dialect: Dialect, answer: Answer, shapes: Shapes) -> tuple[str, Object]:
    if not isinstance(answer, Media):
        return JSON, {"schema": shapes.answer(dialect, answer)}
    return answer.type, {} if answer.type == JSON else {"schema": {"type": "string"}}


def _headers(status: int, *, limited: bool = False, kept: bool = False) -> Object:
    names = [*_names_of(status, limited), *([REPLAYED] if kept else [])]
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}} if names else {}


def _names_of(status: int, limited: bool) -> Iterator[str]:
    if limited:
        yield from ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    if status in (LIMITED, 503):
        yield "Retry-After"
    if status == 401:
        yield "WWW-Authenticate"
