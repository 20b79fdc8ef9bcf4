"""What agents and people say to each other."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from aiohttp import hdrs, web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.calls import digest_of
from trunkline.contracts.errors import Denied, Invalid
from trunkline.contracts.ids import TaskId, wire_id
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.omnara import decode, encode
from trunkline_gateway.dialects.omnara.answers import AgentSaid, InputRequested, Pending, UserSaid
from trunkline_gateway.dialects.omnara.names import MESSAGES, SURFACE
from trunkline_gateway.dialects.omnara.schemas import AgentMessageBody, MessagePath, PendingQuery, UserMessageBody
from trunkline_gateway.usecases.instances import Instances, Saying, Seed
from trunkline_gateway.usecases.posts import Post, Posts
from trunkline_gateway.usecases.receipts import Receipts

T = TypeVar("T")
SDK: Final = "omnara-python-sdk"
"""As this client names itself."""
SAY: Final = Spec(
    "Say something as an agent",
    SURFACE,
    "A message is kept once however often it is sent. An instance that is not there is made where `agent_type` is given. One that asks for "
    "input opens an approval of the kind `input` besides, by which any surface may answer.",
    body=AgentMessageBody,
    answers={200: AgentSaid},
)
PENDING: Final = Spec(
    "Read what people said to an agent",
    SURFACE,
    "With `last_read_message_id` what came behind it is handed out once; without, what waits is shown and stays.",
    query=PendingQuery,
    answers={200: Pending},
    refusals=(422,),
)
TELL: Final = Spec("Say something to an agent", SURFACE, body=UserMessageBody, answers={200: UserSaid}, refusals=(404,))
ASK: Final = Spec(
    "Ask for input on a message that was said before", SURFACE, path=MessagePath, answers={200: InputRequested}, refusals=(400, 404)
)


@dataclass(frozen=True, slots=True)
class MessageRoutes:
    instances: Instances
    body: BodyReader
    receipts: Receipts = field(default_factory=Receipts)
    posts: Posts = field(default_factory=Posts)

    def routes(self) -> tuple[Route, ...]:
        message, ask = "instances.message", MESSAGES + "/{agent_message_id}/request-input"
        return (
            Route("POST", f"{MESSAGES}/agent", Action.CALL_HOME, self._say, SAY, message),
            Route("GET", f"{MESSAGES}/pending", Action.READ_INSTANCE, self._pending, PENDING, "instances.read"),
            Route("POST", f"{MESSAGES}/user", Action.TALK_TO_INSTANCE, self._tell, TELL, message),
            Route("PATCH", ask, Action.CALL_HOME, self._ask, ASK, message),
        )

    async def _say(self, request: web.Request, principal: Principal) -> web.Response:
        body = decode.read(AgentMessageBody, await self.body.json(request))
        name, said = decode.instance(body.agent_instance_id), decode.said(body)
        words = _words(principal, name.task, said)
        with self.posts.saying(_whose(principal, name.task)) as alone:
            spare = self.posts.asked(request.transport) and alone()
            mine = seed(request)._replace(heard=self.posts.heard(words, spare=spare), surely=_never_twice(request))
            answer = await plainly(self.instances.say(principal, name, said, mine))
            if not mine.kept:  # a key of its own says it plainly
                last = not request.keep_alive and not _is_sdk(request)
                self.posts.answered(Post(words, answer.message_id), request.transport, last=last, alone=alone())
        return encode.answer(encode.said(answer))

    async def _pending(self, request: web.Request, principal: Principal) -> web.Response:
        self.posts.asked(request.transport)
        asked = decode.asked(PendingQuery, request.query)
        name, last = decode.instance(asked.agent_instance_id), asked.last_read_message_id
        after = decode.message(last, "last_read_message_id") if last else None
        again = self._lost(request, principal, name.task)
        found = await plainly(self.instances.pending(principal, name, after, again=again))
        self.receipts.answered(_whose(principal, name.task), request.transport)
        return encode.answer(encode.pending(found))

    async def _tell(self, request: web.Request, principal: Principal) -> web.Response:
        body = decode.read(UserMessageBody, await self.body.json(request))
        name = decode.instance(body.agent_instance_id)
        told = await plainly(self.instances.tell(principal, name, body.content, seed(request), read=body.mark_as_read))
        return encode.answer(UserSaid(message_id=wire_id(told.message_id), marked_as_read=told.read))

    async def _ask(self, request: web.Request, principal: Principal) -> web.Response:
        self.posts.asked(request.transport)
        message = decode.message(request[PARTS]["agent_message_id"])
        task = await self.instances.asked_of(principal, message)
        again = self._lost(request, principal, task)
        found = await plainly(self.instances.ask(principal, task, message, again=again))
        self.receipts.answered(_whose(principal, task), request.transport)
        return encode.answer(encode.input_requested(found))

    def _lost(self, request: web.Request, principal: Principal, task: TaskId) -> bool:
        return _is_sdk(request) and (_passed_on(request) or self.receipts.lost(_whose(principal, task)))


def seed(request: web.Request) -> Seed:
    ids = request[IDS]
    return Seed(ids.id(), ids.repeatable)


async def plainly(answer: Awaitable[T]) -> T:
    """What is another's is a request that cannot be granted here, as the original has it."""
    try:
        return await answer
    except Denied as error:
        raise Invalid(error.message, code=error.code) from None


def _whose(principal: Principal, task: TaskId) -> bytes:
    return f"{principal.tenant}/{task}".encode()


def _words(principal: Principal, task: TaskId, said: Saying) -> bytes:
    digest = digest_of([said.text, said.asks, said.git_diff, said.metadata])
    return f"{principal.tenant}/{task}/{digest}".encode()


def _is_sdk(request: web.Request) -> bool:
    """It repeats what was not answered, and nothing else, and never wishes a connection closed."""
    return request.headers.get(hdrs.USER_AGENT, "").startswith(SDK)


def _passed_on(request: web.Request) -> bool:
    """Whether a proxy shows, whose connection says nothing of the client's: those that do not name themselves often close it each time."""
    headers = request.headers
    return not request.keep_alive or hdrs.X_FORWARDED_FOR in headers or hdrs.FORWARDED in headers or hdrs.VIA in headers


def _never_twice(request: web.Request) -> bool:
    """Whether it is the SDK itself at the other end of the connection, of which it says a word that no proxy passes on."""
    return _is_sdk(request) and not _passed_on(request) and request.headers.get(hdrs.CONNECTION, "").lower() == "keep-alive"
