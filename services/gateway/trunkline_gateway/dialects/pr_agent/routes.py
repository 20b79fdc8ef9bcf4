"""The pr_agent dialect: decode, use case, encode, once per route."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import orjson
from aiohttp import web
from pydantic import BaseModel

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal, Role
from trunkline.contracts.errors import DomainError, NotFound
from trunkline.contracts.ids import TaskId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.views import TaskView
from trunkline_gateway.body import BodyReader
from trunkline_gateway.broadcast import Broadcasts
from trunkline_gateway.dialect import ADDRESS, IDS, PARTS, Media, Route, Spec, status_of
from trunkline_gateway.dialects.pr_agent import decode, encode
from trunkline_gateway.dialects.pr_agent.routes_jobs import JobRoutes, admitted
from trunkline_gateway.dialects.pr_agent.routes_webhooks import WebhookRoutes
from trunkline_gateway.dialects.pr_agent.schemas import (
    Accepted,
    CancelBody,
    Cancelled,
    ExecuteBody,
    Job,
    Named,
    Problem,
    Resume,
    ResumeHeaders,
)
from trunkline_gateway.dialects.pr_agent.visitors import TokenVisitors
from trunkline_gateway.dressing import JSON
from trunkline_gateway.frames import Frames
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases import Tasks
from trunkline_gateway.usecases.forge import Forge
from trunkline_gateway.usecases.replay import Place
from trunkline_gateway.usecases.strangers import Stranger
from trunkline_gateway.usecases.tiers import Caller, Tiers
from trunkline_gateway.usecases.webhooks import Webhooks

ROOT: Final = "/api/pr-agent"
JOB: Final = ROOT + "/{jobId:[0-9A-Fa-f-]{32,36}}"

STREAM: Final = Media("text/event-stream", "`data:` lines without names, the whole story first; ends after `result` or `error`.")
EXECUTE: Final = Spec(
    "Submit a task on a repository", decode.SURFACE, body=ExecuteBody, answers={200: Accepted}, refusals=(404, 422),
)  # fmt: skip
READ: Final = Spec("Read a job", decode.SURFACE, path=Named, answers={200: Job})
FOLLOW: Final = Spec("Follow a job", decode.SURFACE, path=Named, query=Resume, headers=ResumeHeaders, answers={200: STREAM})
WATCH: Final = Spec("Attach to a job", decode.SURFACE, path=Named, query=Resume, headers=ResumeHeaders, answers={200: STREAM})
REPLAY: Final = Spec(
    "Watch a job once more, at its own pace",
    decode.SURFACE,
    "So many times as fast as it happened (`speed`, else 1), from the first event or from the one that is named; what happens meanwhile "
    "comes as it happens.",
    path=Named,
    query=Resume,
    headers=ResumeHeaders,
    answers={200: STREAM},
)
CANCEL: Final = Spec(
    "Stop a job", decode.SURFACE, path=Named, body=CancelBody, body_required=False, answers={202: Cancelled}, refusals=(409,)
)  # fmt: skip


@dataclass(slots=True)
class PrAgent:
    """Everything below `/api/pr-agent`. `frame_cache` in bytes. `seal` is what strangers are known again by."""

    tasks: Tasks
    streams: Streams
    body: BodyReader
    frame_cache: int
    webhooks: Webhooks = field(kw_only=True)
    tiers: Tiers = field(kw_only=True)
    seal: bytes = field(kw_only=True, repr=False)
    forge: Forge = field(default_factory=Forge)
    name: str = field(default=decode.SURFACE, init=False)
    claims: tuple[str, ...] = field(default=(ROOT,), init=False)
    error_model: type[BaseModel] = field(default=Problem, init=False)
    strict: bool = field(default=False, init=False)
    visitors: TokenVisitors = field(init=False)
    _frames: Frames = field(init=False)
    _live: Broadcasts = field(init=False)

    def __post_init__(self) -> None:
        self.visitors = TokenVisitors(self.forge.guests, self.body)
        self._frames = Frames(encode.frame, self.frame_cache)
        self._live = Broadcasts(self.tasks.feed, lambda timeline: lambda item: self._frame(item, timeline.task))

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", f"{ROOT}/execute", Action.OPEN_SUBMIT, self._execute, EXECUTE, counts=True),
            Route("GET", JOB, Action.OPEN_READ, self._job, READ),
            Route("GET", f"{JOB}/stream", Action.OPEN_READ, self._stream, FOLLOW, streams=True),
            Route("GET", f"{JOB}/watch", Action.OPEN_READ, self._stream, WATCH, streams=True),
            Route("GET", f"{JOB}/replay", Action.OPEN_READ, self._replay, REPLAY, streams=True),
            Route("POST", f"{JOB}/cancel", Action.OPEN_CANCEL, self._cancel, CANCEL),
            *JobRoutes(self.tasks, self.tiers, self.streams).routes(),
            *WebhookRoutes(self.webhooks.for_owners(), self.body).routes(),
        )

    def encode_error(self, error: DomainError) -> web.Response:
        return _json(encode.error(error, self.tiers.upgrade_url), status_of(error))

    async def _execute(self, request: web.Request, principal: Principal) -> web.Response:
        body = await self.body.json(request)
        assignment, token = decode.execute(body), decode.token(body, request.headers.get("Authorization", ""))
        id = request[IDS].task_id()
        async with admitted(self.tiers, request, Caller(principal, request[ADDRESS], decode.fingerprint(body)), id):
            visibility = await self.forge.visibility(principal, assignment.repo, token)
        assignment = decode.asked_by(principal, assignment, visibility)
        if principal.role is Role.ANONYMOUS:
            assignment = assignment.model_copy(update={"sent_from": self._stranger(request).mark(id)})
        made = await self.tasks.submit(principal, assignment, id=id, token=token)
        return _json(encode.accepted(made.submitted.task_id))

    async def _job(self, request: web.Request, principal: Principal) -> web.Response:
        return _json(encode.job(await self._view(request, principal)))

    def _stream(self, request: web.Request, principal: Principal) -> Awaitable[web.StreamResponse]:
        return self._told(request, principal, decode.place(request.headers.get("Last-Event-ID"), request.query))

    def _replay(self, request: web.Request, principal: Principal) -> Awaitable[web.StreamResponse]:
        return self._told(request, principal, decode.place(request.headers.get("Last-Event-ID"), request.query, speed=1.0))

    async def _told(self, request: web.Request, principal: Principal, place: Place) -> web.StreamResponse:
        try:
            timeline = await self.tasks.timeline(principal, _task(request))
        except NotFound:
            raise decode.unknown_job() from None
        return await self.streams.share(request, partial(self._live.tell, timeline, place))

    async def _cancel(self, request: web.Request, principal: Principal) -> web.Response:
        asked = decode.cancel(await self.body.json_if_any(request))
        stranger = self._stranger(request, asked.clientFingerprint or "")
        try:
            view = await self.tasks.cancel(principal, _task(request), asked.reason or "", stranger)
        except NotFound:
            raise decode.unknown_job() from None
        return _json(encode.cancelled(view), 202)

    def _stranger(self, request: web.Request, fingerprint: str = "") -> Stranger:
        """By what a caller is known again that shows no credential."""
        return Stranger(self.seal, request[ADDRESS], fingerprint)

    async def _view(self, request: web.Request, principal: Principal) -> TaskView:
        try:
            return await self.tasks.task(principal, _task(request))
        except NotFound:
            raise decode.unknown_job() from None

    def _frame(self, item: Event | Gap, task: TaskId) -> bytes:
        if isinstance(item, Gap):
            return encode.gap(item, task, self.tasks.now())
        return self._frames.of(item)


def _task(request: web.Request) -> TaskId:
    return decode.job_id(request[PARTS]["jobId"])


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=JSON)
