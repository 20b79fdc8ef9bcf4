"""Lists of jobs, what is left of the limits, and the demonstration: decode, use case, encode, once per route."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import Unavailable
from trunkline_gateway.dialect import ADDRESS, IDS, Media, Route, Spec
from trunkline_gateway.dialects.pr_agent import decode, decode_jobs, encode, encode_jobs
from trunkline_gateway.dialects.pr_agent.demonstration import demonstration
from trunkline_gateway.dialects.pr_agent.schemas import ResumeHeaders
from trunkline_gateway.dialects.pr_agent.schemas_jobs import DemonstrationQuery, JobPage, JobsQuery, LimitsQuery, RateLimits
from trunkline_gateway.dressing import JSON, VISIT
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases import Tasks
from trunkline_gateway.usecases.own_jobs import own_jobs
from trunkline_gateway.usecases.tiers import Caller, Tiers

ROOT: Final = "/api/pr-agent"
SHOWN: Final = Media("text/event-stream", "As the stream of a job, of one that never was.")
LIST: Final = Spec(
    "List one's own jobs", decode.SURFACE, query=JobsQuery, answers={200: JobPage}, refusals=(401,),
    description="Of the credential; without one, of the fingerprint that is named.",
)  # fmt: skip
LIMITS: Final = Spec("What is left of one's limits", decode.SURFACE, query=LimitsQuery, answers={200: RateLimits})
DEMONSTRATION: Final = Spec(
    "Watch a demonstration", decode.SURFACE, query=DemonstrationQuery, headers=ResumeHeaders, answers={200: SHOWN},
    description="Every kind of event once, in some six seconds; nothing runs and nothing is kept.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobRoutes:
    """What is asked about no single job."""

    tasks: Tasks
    tiers: Tiers
    streams: Streams

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", f"{ROOT}/jobs", Action.OPEN_READ, self._jobs, LIST),
            Route("GET", f"{ROOT}/rate-limit-status", Action.OPEN_READ, self._limits, LIMITS),
            Route("GET", f"{ROOT}/test-stream", Action.LOOK_AROUND, self._demonstration, DEMONSTRATION, streams=True),
        )

    async def _jobs(self, request: web.Request, principal: Principal) -> web.Response:
        wish = decode_jobs.jobs(request.query, decode.SURFACE)
        return _json(encode_jobs.page(await own_jobs(self.tasks, principal, wish), wish))

    async def _limits(self, request: web.Request, principal: Principal) -> web.Response:
        caller = Caller(principal, request[ADDRESS], decode_jobs.fingerprint(request.query))
        left = await self.tiers.standing(caller)
        if left.tightest:
            request[VISIT].counted = left
        return _json(encode_jobs.standing(left, left.wait(time.time())))

    async def _demonstration(self, request: web.Request, principal: Principal) -> web.StreamResponse:
        well = decode_jobs.ends_well(request.query)
        place = decode.place(request.headers.get("Last-Event-ID"), request.query, speed=1.0)
        return await self.streams.send(request, demonstration(place, self.tasks.now, well=well), encode.frame)


@asynccontextmanager
async def admitted(tiers: Tiers, request: web.Request, caller: Caller, id: str) -> AsyncIterator[None]:
    """The job `id` more of the caller, told in the headers of the answer. It counts for nothing when the block, in which nothing is begun,
    cannot be carried out. Raises Exhausted, Unavailable."""
    counted = await tiers.admit(caller, id if request[IDS].repeatable else "")
    if counted is not None:
        request[VISIT].counted = counted
        if counted.retry_after is not None:
            raise tiers.refusal(caller, counted.retry_after)
    try:
        yield
    except (Unavailable, asyncio.CancelledError):
        request[VISIT].counted = None
        await tiers.give_back(counted)
        raise


def _json(body: object) -> web.Response:
    return web.Response(body=orjson.dumps(body), headers=JSON)
