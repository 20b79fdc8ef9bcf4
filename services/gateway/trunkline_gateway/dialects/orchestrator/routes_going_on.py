"""Going on from a task that is over: continuing it, and forking off it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.ids import TaskId
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.orchestrator import answers_tasks, decode, encode, names, reading
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.schemas import ContinueBody, ForkBody, TaskPath, TokenHeaders
from trunkline_gateway.usecases.going_on import GoingOn, Next, WentOn

TAG: Final = "tasks"
CONTINUE: Final = Spec(
    "Go on with a task that is over",
    TAG,
    "A new task with the workspace and the conversation of the earlier one. Its work is one more commit on the same branch, and so "
    "in the same pull request.",
    path=TaskPath,
    headers=TokenHeaders,
    body=ContinueBody,
    answers={200: answers_tasks.TaskWentOn},
    refusals=(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
)
FORK: Final = replace(
    CONTINUE,
    summary="Fork off a task that is over",
    description="A new task with a branch and a pull request of its own, from workspace and conversation as they were at an event: at "
    "the newest snapshot at or before it, which the answer names.",
    body=ForkBody,
)


@dataclass(frozen=True, slots=True)
class GoingOnRoutes:
    going_on: GoingOn
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        one, submit, rate = "/tasks/{task_id}", Action.SUBMIT_TASK, "tasks.create"
        return (
            Route("POST", f"{one}/continue", submit, self._continue, CONTINUE, rate),
            Route("POST", f"{one}/fork", submit, self._fork, FORK, rate),
        )

    async def _continue(self, request: web.Request, principal: Principal) -> web.Response:
        task, asked = _task(request), reading.body(ContinueBody, await self.body.json(request))
        return await self._went_on(
            task, principal, self.going_on.continue_(principal, task, _next(request, asked), id=request[IDS].task_id())
        )

    async def _fork(self, request: web.Request, principal: Principal) -> web.Response:
        task, asked = _task(request), reading.body(ForkBody, await self.body.json(request))
        event = None if asked.from_ is None else Cursor.parse(asked.from_)
        return await self._went_on(
            task, principal, self.going_on.fork(principal, task, _next(request, asked), event, id=request[IDS].task_id())
        )

    async def _went_on(self, task: TaskId, principal: Principal, going: Awaitable[WentOn]) -> web.Response:
        try:
            made = await going
        except NotFound:
            raise names.unknown_task() from None
        return json(encode.created(made.submitted, made.assignment, principal) | {"origin": _origin(task, made)})


def _origin(task: TaskId, made: WentOn) -> encode.Object:
    kept = made.kept
    place: encode.Object = {"task_id": names.task(task), "event_id": str(kept.event), "at": encode.moment(kept.at)}
    return place | {"snapshot": kept.snapshot, "conversation": bool(kept.session)}


def _next(request: web.Request, asked: ContinueBody) -> Next:
    return Next(_text(asked), decode.terms(asked), decode.token(request.headers))


def _text(asked: ContinueBody) -> str:
    if not asked.text.strip():
        raise reading.wrong("text", "must say something")
    if len(asked.text.encode()) > decode.PROMPT_LIMIT:
        raise Invalid(f"text is longer than the {decode.PROMPT_LIMIT} bytes that an agent is given", code="TASK_TOO_LONG", field="text")
    return asked.text


def _task(request: web.Request) -> TaskId:
    return names.read_task(request[PARTS]["task_id"])
