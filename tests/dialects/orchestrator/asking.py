"""Asks the gateway, and holds every answer against what its route promises: a status that it names, and exactly the fields of the model."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from aiohttp import ClientSession
from pydantic import BaseModel

from tests.dialects.world import World, speaking, talking
from trunkline.auth.principal import HOME, Principal, Role
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Media, Route
from trunkline_gateway.dialects.orchestrator.answers import Refused
from trunkline_gateway.openapi import paths
from trunkline_gateway.sse import StreamLimits, Streams

AGENT = Principal(HOME, "dev-agent-1", Role.AGENT)
ADMIN = Principal(HOME, "admin-user", Role.ADMIN)
APPROVER = Principal(HOME, "eve", Role.APPROVER)
USER = Principal(HOME, "dashboard", Role.USER)
JSON = {"Accept": "application/json"}
ALWAYS = {400, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503, 504}
"""Refusals that any route may speak besides its own."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any

    @property
    def detail(self) -> str:
        return str(self.body["detail"])


@dataclass
class Caller:
    """Somebody who asks; `world.principal` says who."""

    session: ClientSession

    async def ask(self, what: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        """`what` is `METHOD /path`."""
        method, path = what.split(" ", 1)
        async with self.session.request(method, path, headers={**JSON, **(headers or {})}, json=body) as response:
            text = await response.text()
            check(what, response.status, text)
            return Answer(response.status, json.loads(text))

    async def task(self, **fields: object) -> dict[str, Any]:
        """A task that was taken."""
        answer = await self.ask("POST /tasks", {"type": "bugfix", "payload": {}, **fields})
        assert answer.status == 200, answer
        taken: dict[str, Any] = answer.body
        return taken


def check(what: str, status: int, text: str) -> None:
    """Whether an answer to `METHOD /path` is one that its route promises."""
    method, _, path = what.partition(" ")
    found = (route for route in routes() if route.method == method and _leads(route, path.partition("?")[0]))
    route = next(found, None)
    answers = route.spec.answers if route else {}
    if status not in answers:
        assert status in ALWAYS or (route and status in route.spec.refusals), (what, status, text)
        Refused.model_validate_json(text)
        return
    model = answers[status]
    models = [one for one in (model if isinstance(model, tuple) else (model,)) if not isinstance(one, Media)]
    assert issubclass(models[0], BaseModel)
    models[0].model_validate_json(text)


@cache
def routes() -> tuple[Route, ...]:
    return tuple(speaking(World(), Streams(StreamLimits()), BodyReader())[-1].routes())


@asynccontextmanager
async def calling(world: World) -> AsyncIterator[Caller]:
    async with talking(world) as session:
        yield Caller(session)


def working() -> World:
    """A world in which an agent asks."""
    return World(principal=AGENT)


def _leads(route: Route, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{[a-z_]+\}", "[^/]+", paths.plain(route.path)), path) is not None
