"""Instances: registered, read, moved and ended, and the signs of life of their agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import Conflict
from trunkline.contracts.ids import wire_id
from trunkline.contracts.instance import InstanceStatus
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.omnara import decode, encode
from trunkline_gateway.dialects.omnara.answers import Ended, HeartbeatHeard, InstanceShown, Registered, ShownMessages, Verified
from trunkline_gateway.dialects.omnara.names import END, HEARTBEATS, INSTANCE, INSTANCES, SURFACE, VERIFY
from trunkline_gateway.dialects.omnara.routes_messages import plainly
from trunkline_gateway.dialects.omnara.schemas import EndBody, InstancePath, MessagesQuery, RegisterBody, StatusBody, ViewQuery
from trunkline_gateway.usecases.instances import InstanceName, Instances, by_name

REGISTER: Final = Spec(
    "Register an agent that calls home", SURFACE, "The credential's own instance for a key.", body=RegisterBody, answers={201: Registered}
)
READ: Final = Spec(
    "Read an instance", SURFACE, path=InstancePath, query=ViewQuery, answers={200: InstanceShown}, refusals=(422,)
)  # fmt: skip
MESSAGES: Final = Spec(
    "Read the conversation with an agent", SURFACE, path=InstancePath, query=MessagesQuery, answers={200: ShownMessages}, refusals=(422,)
)
MOVE: Final = Spec("Say how it stands with an agent", SURFACE, path=InstancePath, body=StatusBody, answers={200: InstanceShown})
FINISH: Final = Spec("End a session", SURFACE, "Its task has succeeded then.", body=EndBody, answers={200: Ended})
BEAT: Final = Spec("Give a sign of life", SURFACE, "Needs no body.", path=InstancePath, answers={200: HeartbeatHeard})
WHO: Final = Spec("Read who the credential says one is", SURFACE, answers={200: Verified})


@dataclass(frozen=True, slots=True)
class InstanceRoutes:
    instances: Instances
    body: BodyReader

    def routes(self) -> tuple[Route, ...]:
        call, read, often, seldom = Action.CALL_HOME, Action.READ_INSTANCE, "instances.read", "instances.message"
        return (
            Route("POST", INSTANCES, call, self._register, REGISTER, seldom),
            Route("GET", INSTANCE, read, self._read, READ, often),
            Route("GET", f"{INSTANCE}/messages", read, self._messages, MESSAGES, often),
            Route("PUT", f"{INSTANCE}/status", call, self._move, MOVE, seldom),
            Route("POST", END, call, self._end, FINISH, seldom),
            Route("POST", HEARTBEATS + "/{agent_instance_id}/heartbeat", call, self._beat, BEAT, patient=True),
            Route("GET", VERIFY, read, self._verify, WHO, often),
        )

    async def _register(self, request: web.Request, principal: Principal) -> web.Response:
        asked = decode.registration(decode.read(RegisterBody, await self.body.json(request)))
        try:
            made = await self.instances.register(principal, asked, request[IDS].task_id())
        except Conflict as error:
            raise Conflict("Agent instance already exists", code=error.code) from None
        return encode.answer(encode.registered(made), 201)

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        asked, name = decode.asked(ViewQuery, request.query), named(request)
        before = _before(asked.before_message_id)
        return encode.answer(await self._shown(principal, name, asked.message_limit, before))

    async def _messages(self, request: web.Request, principal: Principal) -> web.Response:
        asked, name = decode.asked(MessagesQuery, request.query), named(request)
        view = await self.instances.view(principal, name, asked.limit, _before(asked.before_message_id))
        return encode.answer(ShownMessages(encode.shown(view.messages)))

    async def _move(self, request: web.Request, principal: Principal) -> web.Response:
        body, name = decode.read(StatusBody, await self.body.json(request)), named(request)
        with by_name(principal, name.task):
            await self.instances.move(principal, name, decode.status(body.status))
        return encode.answer(await self._shown(principal, name, 0))

    async def _end(self, request: web.Request, principal: Principal) -> web.Response:
        name = decode.instance(decode.read(EndBody, await self.body.json(request)).agent_instance_id)
        ended = await plainly(self.instances.move(principal, name, InstanceStatus.COMPLETED))
        return encode.answer(Ended(agent_instance_id=wire_id(name.task), final_status=ended.status.value))

    async def _beat(self, request: web.Request, principal: Principal) -> web.Response:
        name = named(request)
        at = await self.instances.beat(principal, name)
        return encode.heard(name.task, at)

    async def _verify(self, request: web.Request, principal: Principal) -> web.Response:
        return encode.answer(Verified(user_id=principal.subject, display_name=principal.subject))

    async def _shown(self, principal: Principal, name: InstanceName, messages: int, before: str | None = None) -> InstanceShown:
        view = await self.instances.view(principal, name, messages, before)
        return encode.instance(view, await self.instances.last_beat(principal, name.task))


def named(request: web.Request) -> InstanceName:
    """Which instance the path names. Raises Invalid."""
    return decode.instance(request[PARTS]["agent_instance_id"])


def _before(message: str | None) -> str | None:
    return decode.message(message, "before_message_id") if message else None
