"""Paths lead where the dispatcher of aiohttp would lead them: both are asked about every route that is served, and about odd paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tools import api_document
from trunkline.contracts.errors import NotFound, Unsupported
from trunkline_gateway.paths import Paths

SERVED = [(route.method, route.path) for dialect in api_document.dialects() for route in dialect.routes() if route.method != "*"]
WORDS = ("7", "a-b_c", "task_0190", "1d2c3b4a-0000-4000-8000-000000000000", "x%2Fy", "x%252Fy", "%20", "é", "a.b", "order", "open")
ODD = ("/", "//", "/tasks/", "//tasks", "/tasks//", "/tasks/%2F", "/nowhere", "/TASKS", "/tasks/x/y/z/w", "/api", "/v1/%E2%82%AC")
_NAMED = re.compile(r"\{\w+(?::(?:[^{}]|\{\d+(?:,\d*)?\})+)?\}")


async def nothing(request: web.Request) -> web.Response:
    raise AssertionError("nobody calls it")


@pytest.fixture(scope="module")
def ours() -> Paths[str]:
    paths: Paths[str] = Paths()
    for method, path in SERVED:
        paths.add(method, path, path)
    return paths


@pytest.fixture(scope="module")
def theirs() -> web.UrlDispatcher:
    dispatcher = web.UrlDispatcher()
    for method, path in sorted(SERVED, key=lambda each: ("{" in each[1], each[1])):
        dispatcher.add_route(method, path, nothing)
    return dispatcher


def asked() -> Iterator[tuple[str, str]]:
    words = cycle(WORDS)
    for path in sorted({path for _, path in SERVED}):
        for method in ("GET", "POST", "DELETE") if "{" in path else ("GET", "PATCH"):
            yield method, _NAMED.sub(lambda _: next(words), path)
            yield method, _NAMED.sub(WORDS[0], path)
    for odd in ODD:
        yield "GET", odd


async def test_paths_lead_where_aiohttp_leads_them(ours: Paths[str], theirs: web.UrlDispatcher) -> None:
    apart = []
    for method, path in asked():
        request = make_mocked_request(method, path)
        expected = await theirs.resolve(request)
        try:
            _, parts = ours.find(method, request.rel_url.path_safe)
            found: object = dict(parts)
        except NotFound:
            found = 404
        except Unsupported as refused:
            found = 405, refused.details["allow"]
        error = expected.http_exception
        if error is None:
            wanted: object = dict(expected)
        else:
            wanted = (405, ", ".join(sorted(error.allowed_methods))) if isinstance(error, web.HTTPMethodNotAllowed) else 404
        if found != wanted:
            apart.append((method, path, wanted, found))
    assert apart == []
