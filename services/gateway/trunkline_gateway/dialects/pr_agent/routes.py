"""The pr_agent dialect: decode, use case, encode, once per route."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import orjson
from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import DomainError, NotFound
from trunkline.contracts.ids import TaskId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.views import TaskView
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Route, status_of
from trunkline_gateway.dialects.pr_agent import decode, encode
from trunkline_gateway.frames import Frames
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases import UseCases

ROOT: Final = "/api/pr-agent"
JOB: Final = ROOT + "/{job:[0-9A-Fa-f-]{32,36}}"


@dataclass(slots=True)
class PrAgent:
    """Everything below `/api/pr-agent`. `frame_cache` in bytes."""

    usecases: UseCases
    streams: Streams
    body: BodyReader
    frame_cache: int
    name: str = field(default=decode.SURFACE, init=False)
    claims: tuple[str, ...] = field(default=(ROOT,), init=False)
    _frames: Frames = field(init=False)

    def __post_init__(self) -> None:
        self._frames = Frames(encode.frame, self.frame_cache)

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", f"{ROOT}/execute", Action.SUBMIT_TASK, self._execute),
            Route("GET", JOB, Action.READ_TASK, self._job),
            Route("GET", f"{JOB}/stream", Action.READ_TASK, self._stream, streams=True),
            Route("POST", f"{JOB}/cancel", Action.CANCEL_TASK, self._cancel),
        )

    def encode_error(self, error: DomainError) -> web.Response:
        return _json(encode.error(error), status_of(error))

    async def _execute(self, request: web.Request, principal: Principal) -> web.Response:
        assignment = decode.execute(await self.body.json(request))
        return _json(encode.accepted(await self.usecases.submit(principal, assignment)))

    async def _job(self, request: web.Request, principal: Principal) -> web.Response:
        return _json(encode.job(await self._view(request, principal)))

    async def _stream(self, request: web.Request, principal: Principal) -> web.StreamResponse:
        after = decode.after(request.headers.get("Last-Event-ID"), request.query.get("lastEventId"))
        try:
            timeline = await self.usecases.timeline(principal, _task(request))
        except NotFound:
            raise decode.unknown_job() from None
        return await self.streams.send(request, self.usecases.follow(timeline, after), lambda item: self._frame(item, timeline.task))

    async def _cancel(self, request: web.Request, principal: Principal) -> web.Response:
        reason = decode.cancel(await self.body.json_if_any(request))
        try:
            view = await self.usecases.cancel(principal, _task(request), reason)
        except NotFound:
            raise decode.unknown_job() from None
        return _json(encode.cancelled(view), 202)

    async def _view(self, request: web.Request, principal: Principal) -> TaskView:
        try:
            return await self.usecases.task(principal, _task(request))
        except NotFound:
            raise decode.unknown_job() from None

    def _frame(self, item: Event | Gap, task: TaskId) -> bytes:
        if isinstance(item, Gap):
            return encode.gap(item, task, self.usecases.now())
        return self._frames.of(item)


def _task(request: web.Request) -> TaskId:
    return decode.job_id(request.match_info["job"])


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
