"""Steering: messages to a running agent, and interrupting, pausing and resuming it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId
from trunkline.contracts.steering import Steer
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.orchestrator import answers_steering, decode_steering, encode_steering, names, reading
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.schemas import MessageBody, MessagePath, NothingBody, OrderBody, TaskPath
from trunkline_gateway.usecases import Steering

T = TypeVar("T")
TAG: Final = "steering"
ANY_BUT_ORDER: Final = "(?!order$)[^/]+"
"""So that a path that is something else does not seem to be a message too."""
_READ: Final = (401, 403, 404, 429, 503)
_CHANGE: Final = (*_READ, 409)
_BODY: Final = (*_CHANGE, 400, 413, 415, 422)
SAY: Final = Spec(
    "Send a message to the agent of a task",
    TAG,
    "It waits in a queue until the agent takes it, and may be changed, ordered and withdrawn until then.",
    path=TaskPath,
    body=MessageBody,
    answers={202: answers_steering.MessageSaid},
    refusals=_BODY,
)
LIST: Final = Spec("List the messages of a task", TAG, path=TaskPath, answers={200: answers_steering.MessageQueue}, refusals=_READ)
EDIT: Final = Spec(
    "Change a message that waits",
    TAG,
    path=MessagePath,
    body=MessageBody,
    answers={200: answers_steering.MessageSaid},
    refusals=_BODY,
)
WITHDRAW: Final = Spec(
    "Withdraw a message that waits", TAG, path=MessagePath, answers={200: answers_steering.MessageSaid}, refusals=_CHANGE
)
ORDER: Final = Spec(
    "Order the messages that wait",
    TAG,
    "Name every one of them; when another came or went meanwhile, nothing is changed.",
    path=TaskPath,
    body=OrderBody,
    answers={200: answers_steering.MessagesOrdered},
    refusals=_BODY,
)
INTERRUPT: Final = Spec(
    "Interrupt the agent",
    TAG,
    "Its turn ends; it lives, and may be spoken to.",
    path=TaskPath,
    body=NothingBody,
    body_required=False,
    answers={202: answers_steering.Steered},
    refusals=_BODY,
)
PAUSE: Final = replace(
    INTERRUPT, summary="Pause a run", description="Nothing of it works and its deadline stands still until it is resumed."
)
RESUME: Final = replace(INTERRUPT, summary="Resume a run", description="One that is not paused goes on as it does.")


@dataclass(frozen=True, slots=True)
class SteeringRoutes:
    steering: Steering
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        messages, steer, change = "/tasks/{task_id}/messages", Action.STEER_TASK, "messages.change"
        one = f"{messages}/{{message_id:{ANY_BUT_ORDER}}}"
        return (
            Route("POST", messages, steer, self._say, SAY, "messages.send"),
            Route("GET", messages, Action.READ_TASK, self._list, LIST, "messages.read"),
            Route("PUT", f"{messages}/order", steer, self._order, ORDER, change),
            Route("PATCH", one, steer, self._edit, EDIT, change),
            Route("DELETE", one, steer, self._withdraw, WITHDRAW, change),
            Route("POST", "/tasks/{task_id}/interrupt", steer, self._interrupt, INTERRUPT, "tasks.steer"),
            Route("POST", "/tasks/{task_id}/pause", steer, self._pause, PAUSE, "tasks.steer"),
            Route("POST", "/tasks/{task_id}/resume", steer, self._resume, RESUME, "tasks.steer"),
        )

    async def _say(self, request: web.Request, principal: Principal) -> web.Response:
        task, text, id = _task(request), decode_steering.text(await self.body.json(request)), request[IDS].id()
        return json(encode_steering.said(task, await _found(self.steering.say(principal, task, text, id=id))), 202)

    async def _list(self, request: web.Request, principal: Principal) -> web.Response:
        return json(encode_steering.queue(await _found(self.steering.messages(principal, _task(request)))))

    async def _edit(self, request: web.Request, principal: Principal) -> web.Response:
        task, message = _task(request), _message(request)
        await _found(self.steering.edit(principal, task, message, decode_steering.text(await self.body.json(request))))
        return json(encode_steering.changed(task, message))

    async def _withdraw(self, request: web.Request, principal: Principal) -> web.Response:
        task, message = _task(request), _message(request)
        await _found(self.steering.withdraw(principal, task, message))
        return json(encode_steering.withdrawn(task, message))

    async def _order(self, request: web.Request, principal: Principal) -> web.Response:
        task, order = _task(request), decode_steering.order(await self.body.json(request))
        await _found(self.steering.reorder(principal, task, order))
        return json(encode_steering.ordered(task, order))

    async def _interrupt(self, request: web.Request, principal: Principal) -> web.Response:
        return await self._steered(request, principal, Steer.INTERRUPT)

    async def _pause(self, request: web.Request, principal: Principal) -> web.Response:
        return await self._steered(request, principal, Steer.PAUSE)

    async def _resume(self, request: web.Request, principal: Principal) -> web.Response:
        return await self._steered(request, principal, Steer.RESUME)

    async def _steered(self, request: web.Request, principal: Principal, steer: Steer) -> web.Response:
        task = _task(request)
        reading.body(NothingBody, await self.body.json_if_any(request))
        await _found(self.steering.steer(principal, task, steer, id=request[IDS].id()))
        return json(encode_steering.steered(task, steer), 202)


async def _found(asked: Awaitable[T]) -> T:
    """What came of it; what is not there is said in the words of this surface."""
    try:
        return await asked
    except NotFound as error:
        raise (decode_steering.unknown_message() if error.code == "MESSAGE_NOT_FOUND" else names.unknown_task()) from None


def _task(request: web.Request) -> TaskId:
    return names.read_task(request[PARTS]["task_id"])


def _message(request: web.Request) -> str:
    return decode_steering.message(request[PARTS]["message_id"])
