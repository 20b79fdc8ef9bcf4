"""Every route of the surface, swept: whatever is wrong with a request, it is refused with the right status, in the surface's own shape."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from tests.dialects.omnis import OmniTerms
from tests.dialects.world import World, served, speaking, talking
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.errors import Broken, DomainError, Exhausted, Overdue, Unavailable
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Route
from trunkline_gateway.dialects.omni.names import CLAIMS
from trunkline_gateway.sse import StreamLimits, Streams

ANN = Principal(HOME, "ann", Role.AGENT)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")
JSON = {"Content-Type": "application/json"}
LIMIT = 4096


@cache
def routes() -> tuple[Route, ...]:
    (omni,) = [dialect for dialect in speaking(World(), Streams(StreamLimits()), BodyReader()) if dialect.name == "omni"]
    return tuple(omni.routes())


def taken() -> dict[str, set[str]]:
    """Which methods each path takes."""
    paths: dict[str, set[str]] = {}
    for route in routes():
        more = {"HEAD"} if route.method == "GET" and not route.streams else set()
        paths.setdefault(route.path, set()).update({route.method}, more)
    return paths


def that_read_a_body() -> list[Route]:
    return [route for route in routes() if route.spec.body is not None]


@asynccontextmanager
async def surface(principal: Principal = ANN, terms: OmniTerms | None = None, **more: Any) -> AsyncIterator[ClientSession]:
    async with talking(World(omni=terms or OmniTerms(), principal=principal, **more)) as session:
        yield session


async def refused(answer: ClientResponse, status: int, code: str) -> dict[str, Any]:
    """`{"error": {"code", "message", "details"}}`, and nothing of ours beside it."""
    where = f"{answer.method} {answer.url}"
    assert answer.content_type == "application/json", where
    text = await answer.text()
    said = json.loads(text)
    assert list(said) == ["error"] and list(said["error"]) == ["code", "message", "details"], f"{where}: {text}"
    error: dict[str, Any] = said["error"]
    assert (answer.status, error["code"]) == (status, code), f"{where}: {text}"
    assert error["message"] and isinstance(error["details"], dict) and "Traceback" not in text
    assert ("Retry-After" in answer.headers) == (status in (429, 503)), where
    return error


def test_the_sweep_knows_every_route() -> None:
    assert len(routes()) >= 17
    assert {next(claim for claim in CLAIMS if path.startswith(claim)) for path in taken()} == set(CLAIMS)


async def test_a_method_that_a_path_does_not_take_is_told_which_it_does() -> None:
    async with surface() as session:
        for path, methods in taken().items():
            for method in set(METHODS) - methods:
                async with session.request(method, path) as answer:
                    await refused(answer, 405, "METHOD_NOT_ALLOWED")
                    assert set(answer.headers["Allow"].split(", ")) == methods


@pytest.mark.parametrize("tail", ["/nothing", "/", "/..%2fcreate", "/%00", "/a.b", "/\u2603"])
async def test_a_path_that_is_none_is_not_found(tail: str) -> None:
    async with surface() as session:
        for claim in CLAIMS:
            async with session.get(claim + tail) as answer:
                await refused(answer, 404, "NOT_FOUND")


BODIES: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("half of one", b'{"a": ', JSON, 400, "VALIDATION_ERROR"),
    ("nothing", b"", JSON, 400, "VALIDATION_ERROR"),
    ("a name twice", b'{"a": 1, "a": 2}', JSON, 400, "VALIDATION_ERROR"),
    ("no number", b'{"a": NaN}', JSON, 400, "VALIDATION_ERROR"),
    ("no text", b'{"a": "\xff"}', JSON, 400, "VALIDATION_ERROR"),
    ("half a pair", b'{"userId": "\\ud800"}', JSON, 400, "VALIDATION_ERROR"),
    ("too deep", b"[" * 1000 + b"]" * 1000, JSON, 400, "VALIDATION_ERROR"),
    ("a word", b'"a"', JSON, 400, "VALIDATION_ERROR"),
    ("nothing that is said", b"null", JSON, 400, "VALIDATION_ERROR"),
    ("the wrong things", b'{"userId": 7, "sandboxId": 7, "taskId": 7, "input": 7}', JSON, 400, "VALIDATION_ERROR"),
    ("no type", b"{}", {"Content-Type": ""}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("a form", b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("plain text", b"{}", {"Content-Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("another alphabet", b"{}", {"Content-Type": "application/json; charset=utf-16"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("compressed", gzip.compress(b"{}"), {**JSON, "Content-Encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("too large", b'{"a": "' + b"x" * LIMIT + b'"}', JSON, 413, "PAYLOAD_TOO_LARGE"),
]


@pytest.mark.parametrize(("body", "headers", "status", "code"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
async def test_a_body_that_is_none_is_refused_before_anything_is_asked(
    body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    world = World(omni=OmniTerms(), principal=ANN)
    async with served(world, body=BodyReader(LIMIT)) as gateway, ClientSession(gateway.url) as session:
        for route in that_read_a_body():
            async with session.request(route.method, route.path, data=body, headers=headers) as answer:
                await refused(answer, status, code)
    assert not world.sent


async def test_a_body_that_grows_too_large_is_cut_off() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b" " * (LIMIT // 4)

    async with served(World(omni=OmniTerms(), principal=ANN), body=BodyReader(LIMIT)) as gateway, ClientSession(gateway.url) as session:
        for route in that_read_a_body():
            async with session.request(route.method, route.path, data=pieces(), headers=JSON) as answer:
                await refused(answer, 413, "PAYLOAD_TOO_LARGE")


def queries() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """For each route with a query: without what it must have, with a word too long, and with everything twice that may be there once."""
    for route in routes():
        if route.spec.query is None or route.method != "GET":
            continue
        fields = {field.alias or name: field for name, field in route.spec.query.model_fields.items()}
        must = [(name, "x") for name, field in fields.items() if field.is_required()]
        if must:
            yield route.path, []
        once = [name for name in fields if name != "label"]
        yield from ((route.path, [*must, (name, "x"), (name, "x")]) for name in once)
        yield from ((route.path, [(name, "\0" * 2000)]) for name in once if name != "token")


async def test_a_query_that_is_wrong_is_refused() -> None:
    wrong = list(queries())
    assert len(wrong) > 10
    async with surface() as session:
        for path, query in wrong:
            async with session.get(path, params=query) as answer:
                error = await refused(answer, 400, "VALIDATION_ERROR")
                assert "\0" not in error["message"]


FREE = {
    ("GET", "/api/inngest"): 200, ("PUT", "/api/inngest"): 501, ("POST", "/api/inngest"): 501,
    ("GET", "/v1/realtime/connect"): 400, ("GET", "/v1/realtime/sse"): 400,
}  # fmt: skip
"""Asked without a login: what is public, what is there for nobody, and what wants a ticket instead."""


async def test_whoever_shows_nothing_is_asked_for_a_credential() -> None:
    async with surface(ANONYMOUS) as session:
        for route in routes():
            async with session.request(route.method, route.path) as answer:
                if status := FREE.get((route.method, route.path)):
                    assert answer.status == status, route.path
                    continue
                await refused(answer, 401, "AUTH_REQUIRED")
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (Unavailable("the bus is away", code="BUS_AWAY"), 503, "BUS_AWAY"),
        (Exhausted("slow down", retry_after=7), 429, "RATE_LIMITED"),
        (Broken("secret inside", code="X"), 500, "SERVER_ERROR"),
        (ZeroDivisionError("secret inside"), 500, "SERVER_ERROR"),
        (Overdue("too late"), 504, "OVERDUE"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_what_goes_wrong_behind_is_told_in_the_same_shape(trouble: DomainError | Exception, status: int, code: str) -> None:
    asking = {
        "/api/sandbox/create": {"userId": "u"},
        **{f"/api/sandbox/{verb}": {"sandboxId": "sbx-1"} for verb in ("stop", "start", "delete")},
        "/api/knowledge/process": {"input": "i", "sandboxId": "sbx-1", "userId": "u", "taskId": "t"},
        "/api/snapshot/invalidate": {},
    }
    reading = (
        "/api/sandbox/status?id=sbx-1",
        "/api/sandbox/list",
        "/api/sandbox/usage",
        "/api/snapshot/status",
        "/api/task/results?taskId=t",
    )
    async with surface(refusal=trouble) as session:
        for path, body in asking.items():
            async with session.post(path, json=body) as answer:
                await refused(answer, status, code)
        for path in reading:
            async with session.get(path) as answer:
                await refused(answer, status, code)


ORIGIN = "https://app.example.com"


@pytest.mark.parametrize("named", [(), (ORIGIN,), ("https://other.example.com",)], ids=["none", "this", "another"])
async def test_browsers_are_told_beforehand_what_the_configuration_says(named: tuple[str, ...]) -> None:
    async with surface(terms=OmniTerms(cors_origins=named)) as session:
        for path, methods in taken().items():
            for method in methods:
                asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"}
                async with session.options(path, headers=asked) as answer:
                    if ORIGIN in named:
                        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
                        assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
                    else:
                        await refused(answer, 403, "ORIGIN_NOT_ALLOWED")
                        assert not [name for name in answer.headers if name.startswith("Access-Control-")]
