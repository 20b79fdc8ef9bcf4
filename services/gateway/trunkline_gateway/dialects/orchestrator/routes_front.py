"""The front door: what this is, whether it is ready, and how much there is to do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import DomainError
from trunkline_gateway.dialect import Route, Spec
from trunkline_gateway.dialects.orchestrator import answers, encode
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.ports import Readiness
from trunkline_gateway.usecases import Tasks

TAG: Final = "front"
WELCOME: Final = Spec("What this is", TAG, answers={200: answers.Welcome})
HEALTH: Final = Spec("Whether it is ready", TAG, answers={200: answers.Health, 503: answers.Health})
STATS: Final = Spec("How much there is to do", TAG, "Counts of all tenants together.", answers={200: answers.Stats}, refusals=(429, 503))
COUNTING: Final = 1.0
"""Seconds: a monitor would rather hear nothing about the queue than wait for it."""


@dataclass(frozen=True, slots=True)
class About:
    """What it says of itself."""

    version: str
    public_url: str


@dataclass(slots=True)
class FrontRoutes:
    tasks: Tasks
    readiness: Readiness
    about: About
    _was_ready: bool = field(default=False, init=False)

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/", Action.LOOK_AROUND, self._welcome, WELCOME),
            Route("GET", "/health", Action.LOOK_AROUND, self._health, HEALTH),
            Route("GET", "/stats", Action.LOOK_AROUND, self._stats, STATS, "stats"),
        )

    async def _welcome(self, request: web.Request, principal: Principal) -> web.Response:
        places: encode.Object = {"url": self.about.public_url, "health": "/health", "docs": "/docs", "openapi": "/openapi.json"}
        return json({"service": "trunkline", "version": self.about.version, "status": "running", **places})

    async def _health(self, request: web.Request, principal: Principal) -> web.Response:
        async with asyncio.TaskGroup() as asked:
            each, itself = asked.create_task(self._services()), asked.create_task(self.readiness.bus())
        services, bus = each.result(), itself.result()
        ready = bus and all(services.values())
        self._was_ready = self._was_ready or ready
        status = "healthy" if ready else "degraded" if self._was_ready else "starting"
        queue = await self._queue() if bus and services.get("relay") else None
        integrity = await self.readiness.integrity() if queue is not None else None
        beside: encode.Object = {"queue_stats": queue, "integrity": integrity, "version": self.about.version}
        said = encode.health(status, bus, services) | beside
        return json(said, 200 if ready else 503)

    async def _services(self) -> dict[str, bool]:
        return dict(await self.readiness.services())

    async def _stats(self, request: web.Request, principal: Principal) -> web.Response:
        counts = await self.tasks.counts()
        return json({"queue": encode.queue(counts), "timestamp": encode.moment(self.tasks.now())})

    async def _queue(self) -> encode.Object | None:
        try:
            async with asyncio.timeout(COUNTING):
                return encode.queue(await self.tasks.counts())
        except (DomainError, TimeoutError):
            return None
