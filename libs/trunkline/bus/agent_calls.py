"""What agents on NATS ask, each verb a service of their account: the subject says who asks, and the body never does."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from typing import Final, TypeVar

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from pydantic import BaseModel, ValidationError

from trunkline.auth.nats_users import Grant
from trunkline.bus.accounts import GONE
from trunkline.bus.watching import Watch
from trunkline.contracts import subjects
from trunkline.contracts.agent import ANSWERED_WITHIN_S, MOST_WAIT_S, most_of
from trunkline.contracts.errors import Broken, DomainError, Exhausted, Invalid, Refusal, TooLarge, Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.message import Accepted, Message, Reply
from trunkline.contracts.subjects import AgentCall

log = structlog.get_logger()

AT_ONCE: Final = 4096
"""Requests of one process that are worked on, most of which wait for work: what comes beyond is told to come again."""
OF_ONE: Final = 64
"""Of one agent, in one process."""
TRACED: Final = ("report", "ask", "approve", "submit", "publish")
"""What else agents ask is many, or waits for others, and would tell nothing."""
WITHIN: Final = MOST_WAIT_S + ANSWERED_WITHIN_S - 2
DRAIN: Final = 2.0

B = TypeVar("B", bound=BaseModel)


class AgentCalls:
    """Declare with `hear`, then `start`. Nothing new is taken after `stop`."""

    def __init__(self, client: Client, watch: Watch) -> None:
        self._client = client
        self._watch = watch
        self._answers: dict[str, Callable[[AgentCall, bytes], Awaitable[Accepted]]] = {}
        self._ears: list[Subscription] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._of_one: Counter[tuple[str, str]] = Counter()
        self._tell_gone: Callable[[TenantId, str], None] = _nobody

    def hear(self, verb: str, model: type[B], answer: Callable[[AgentCall, B], Awaitable[Accepted]]) -> None:
        async def read_and_answer(call: AgentCall, body: bytes) -> Accepted:
            return await answer(call, model.model_validate_json(body))

        self._answers[verb] = read_and_answer

    def gone(self, tell: Callable[[TenantId, str], None]) -> None:
        """`tell` hears of whom a connection ended. Where nats-server has no accounts for agents, it hears nothing."""
        self._tell_gone = tell

    async def start(self, service: str) -> None:
        self._ears.append(await self._client.subscribe(GONE, cb=self._on_gone))
        for verb in self._answers:
            ear = await self._client.subscribe(subjects.agent_calls(verb), queue=service, cb=self._receive)
            self._ears.append(ear)

    async def stop(self) -> None:
        """Hear nothing more; what is under way is answered, or given up after some seconds."""
        for ear in self._ears:
            with suppress(NatsError, TimeoutError):
                await ear.unsubscribe()
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=DRAIN)
            for task in late:
                task.cancel()

    async def _on_gone(self, message: Msg) -> None:
        try:
            grant = Grant.read(str(json.loads(message.data)["client"]["user"]))
        except (ValueError, KeyError, TypeError):  # not one of whom a gateway vouched for
            return
        self._tell_gone(grant.tenant, grant.name)

    async def _receive(self, message: Msg) -> None:
        if not message.reply:  # nobody could hear the answer, so nothing is done
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _carry_out(self, message: Msg) -> None:
        reply = await self._answered(message)
        with suppress(NatsError):  # whoever asked asks again
            await self._client.publish(message.reply, reply.written())

    async def _answered(self, message: Msg) -> Reply:
        try:
            call = subjects.parse_agent_call(message.subject)
            return Reply(accepted=await self._bounded(call, message.data))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])[:200]
            return _refused(Invalid(f"not a valid request: {where}: {first['msg']}", code="BAD_REQUEST"))
        except (ValueError, RecursionError):
            return _refused(Invalid("not a valid request", code="BAD_REQUEST"))
        except DomainError as error:
            return _refused(error)
        except TimeoutError:
            return _refused(Unavailable("this could not be done in time; try again in a moment", code="NOT_IN_TIME"))
        except Exception:  # a defect of one request is its answer, not the end of the service
            log.exception("agent_call.broke", subject=message.subject)
            return _refused(Broken("Trunkline failed in a way it should not; the log of the service says more", code="BROKEN"))

    async def _bounded(self, call: AgentCall, body: bytes) -> Accepted:
        who = call.tenant, call.name
        if len(body) > (most := most_of(call.verb)):
            raise TooLarge(f"a request has at most {most} bytes", code="BODY_TOO_LARGE")
        if len(self._under_way) > AT_ONCE or self._of_one[who] >= OF_ONE:
            raise Exhausted("too many requests at once; ask again when others are answered", code="TOO_MANY_AT_ONCE", retry_after=1)
        self._of_one[who] += 1
        try:
            async with asyncio.timeout(WITHIN):
                with self._watch.call(call.verb) if call.verb in TRACED else nullcontext():
                    return await self._answers[call.verb](call, body)
        finally:
            self._of_one[who] -= 1
            if not self._of_one[who]:
                del self._of_one[who]


class Told:
    """What an agent hears at once. It may be lost: its next beat, or its next question, tells it too."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, tenant: TenantId, name: str, what: str, body: Message) -> None:
        with suppress(NatsError):
            await self._client.publish(subjects.told(tenant, name, what), body.written())


def _nobody(tenant: TenantId, name: str) -> None:
    """Whom nobody asked to be told of."""


def _refused(error: DomainError) -> Reply:
    return Reply(refused=Refusal.of(error))
