"""Schedules: tasks that are made again and again, by cron in a time zone or every so many seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.orchestrator import answers_schedules as answers
from trunkline_gateway.dialects.orchestrator import decode_schedules, encode_schedules, names
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.schemas_schedules import ScheduleBody, ScheduleChangeBody, SchedulePath, SchedulesQuery
from trunkline_gateway.usecases.schedules import Schedules

TAG: Final = "schedules"
_WAIT: Final = (401, 403, 429, 503)
_BODY: Final = (*_WAIT, 400, 413, 415, 422)
_ONCE: Final = "Each moment has one task, however many services act on it: what makes it a second time makes the same."
MAKE: Final = Spec("Make a schedule", TAG, _ONCE, body=ScheduleBody, answers={201: answers.ScheduleMade}, refusals=(*_BODY, 409))
LIST: Final = Spec("List the schedules", TAG, query=SchedulesQuery, answers={200: answers.ScheduleList}, refusals=(*_WAIT, 400, 422))
READ: Final = Spec("Read a schedule", TAG, path=SchedulePath, answers={200: answers.ScheduleRead}, refusals=(*_WAIT, 404))
CHANGE: Final = Spec(
    "Change a schedule, pause it, or let it go on",
    TAG,
    "What is not named stays. A moment that came before the change still has its task.",
    path=SchedulePath,
    body=ScheduleChangeBody,
    answers={200: answers.ScheduleMade},
    refusals=(*_BODY, 404),
)
REMOVE: Final = Spec("Delete a schedule", TAG, path=SchedulePath, answers={200: answers.ScheduleRemoved}, refusals=(*_WAIT, 404))


@dataclass(frozen=True, slots=True)
class ScheduleRoutes:
    schedules: Schedules
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        every, one = "/schedules", "/schedules/{schedule_id}"
        look, change = Action.READ_TASK, Action.SUBMIT_TASK
        return (
            Route("POST", every, change, self._make, MAKE, "schedules.change"),
            Route("GET", every, look, self._list, LIST, "schedules.read"),
            Route("GET", one, look, self._read, READ, "schedules.read"),
            Route("PATCH", one, change, self._change, CHANGE, "schedules.change"),
            Route("DELETE", one, change, self._remove, REMOVE, "schedules.change"),
        )

    async def _make(self, request: web.Request, principal: Principal) -> web.Response:
        wish = decode_schedules.wish(await self.body.json(request), self.schedules.now())
        return json(encode_schedules.made(await self.schedules.create(principal, wish, id=request[IDS].id())), 201)

    async def _list(self, request: web.Request, principal: Principal) -> web.Response:
        most = decode_schedules.most(request.query)
        return json(encode_schedules.listed(await self.schedules.all(principal), most))

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode_schedules.read(await self.schedules.one(principal, _schedule(request))))

    async def _change(self, request: web.Request, principal: Principal) -> web.Response:
        schedule, change = _schedule(request), decode_schedules.change(await self.body.json(request), self.schedules.now())
        return json(encode_schedules.changed(await self.schedules.change(principal, schedule, change), change))

    async def _remove(self, request: web.Request, principal: Principal) -> web.Response:
        schedule = _schedule(request)
        await self.schedules.delete(principal, schedule)
        return json(encode_schedules.removed(schedule))


def _schedule(request: web.Request) -> str:
    return names.read_schedule(request[PARTS]["schedule_id"])
