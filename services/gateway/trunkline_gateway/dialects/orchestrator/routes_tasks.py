"""Tasks: asking for one, reading, listing, reporting on and cancelling them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.orchestrator import answers_tasks, decode, decode_lists, encode, names
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.schemas import (
    CancelBody,
    ReasonQuery,
    StatusBody,
    StatusQuery,
    TaskBody,
    TaskListQuery,
    TaskPath,
    TokenHeaders,
)
from trunkline_gateway.dialects.orchestrator.seal import Seal
from trunkline_gateway.usecases import Tasks

TAG: Final = "tasks"
_BODY: Final = (400, 401, 403, 413, 415, 422, 429, 503)
CREATE: Final = Spec(
    "Create a task",
    TAG,
    "It is routed to the agents of its type's pool. One that must be approved first says so, and is not released before.",
    headers=TokenHeaders,
    body=TaskBody,
    answers={200: answers_tasks.TaskCreated},
    refusals=(*_BODY, 404, 409),
)
LIST: Final = Spec("List tasks", TAG, query=TaskListQuery, answers={200: answers_tasks.TaskList}, refusals=(400, 401, 403, 422, 429, 503))
READ: Final = Spec("Read a task", TAG, path=TaskPath, answers={200: answers_tasks.TaskRead}, refusals=(401, 403, 404, 429, 503))
STATUS: Final = Spec(
    "Report how a task goes",
    TAG,
    "For the agent that carries it out. Saying the same again changes nothing.",
    path=TaskPath,
    query=StatusQuery,
    body=StatusBody,
    body_required=False,
    answers={200: answers_tasks.TaskMoved},
    refusals=(*_BODY, 404, 409),
)
CANCEL: Final = Spec(
    "Cancel a task, and the tasks that are parts of it",
    TAG,
    path=TaskPath,
    query=ReasonQuery,
    body=CancelBody,
    body_required=False,
    answers={200: answers_tasks.TaskCancelled},
    refusals=(*_BODY, 404, 409),
)


@dataclass(frozen=True, slots=True)
class TaskRoutes:
    tasks: Tasks
    body: BodyReader
    seal: Seal

    def routes(self) -> tuple[Route, ...]:
        one = "/tasks/{task_id}"
        return (
            Route("POST", "/tasks", Action.SUBMIT_TASK, self._create, CREATE, "tasks.create"),
            Route("GET", "/tasks", Action.READ_TASK, self._list, LIST, "tasks.list"),
            Route("GET", one, Action.READ_TASK, self._read, READ, "tasks.read"),
            Route("PATCH", f"{one}/status", Action.UPDATE_TASK, self._status, STATUS, "tasks.status"),
            Route("POST", f"{one}/cancel", Action.CANCEL_TASK, self._cancel, CANCEL, "tasks.cancel"),
        )

    async def _create(self, request: web.Request, principal: Principal) -> web.Response:
        wish = decode.task(await self.body.json(request), self.tasks.now())
        task = request[IDS].task_id()
        token = decode.token(request.headers)
        try:
            made = await self.tasks.submit(principal, wish.assignment, trace_id=wish.trace_id, id=task, token=token)
        except NotFound as error:
            raise (decode.unknown_parent() if wish.assignment.parent else error) from None
        return json(encode.created(made.submitted, made.kept, principal))

    async def _list(self, request: web.Request, principal: Principal) -> web.Response:
        asked, cursor = decode_lists.tasks(request.query, self.tasks.now())
        place = self.seal.opened(principal, asked, cursor)
        page = await self.tasks.list(principal, asked.model_copy(update={"after": place}))
        return json(encode.listed(page, self.seal.sealed(principal, asked, page.next)))

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        try:
            return json(encode.read(await self.tasks.task(principal, names.read_name(request[PARTS]["task_id"]))))
        except NotFound:
            raise names.unknown_task() from None

    async def _status(self, request: web.Request, principal: Principal) -> web.Response:
        report = decode.report(request.query, await self.body.json_if_any(request))
        task = _task(request)
        try:
            await self.tasks.report(principal, task, report.reported, report.error)
        except NotFound:
            raise names.unknown_task() from None
        return json(encode.moved(task, report.status))

    async def _cancel(self, request: web.Request, principal: Principal) -> web.Response:
        reason = decode.reason(request.query, await self.body.json_if_any(request))
        try:
            return json(encode.cancelled(await self.tasks.cancel(principal, _task(request), reason)))
        except NotFound:
            raise names.unknown_task() from None


def _task(request: web.Request) -> TaskId:
    return names.read_task(request[PARTS]["task_id"])
