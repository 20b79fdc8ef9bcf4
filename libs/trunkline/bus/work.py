"""The queue of released work: put once, taken by as many runners as there are, each holding only what it can carry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from trunkline.bus.dead import DeadLetters
from trunkline.bus.delivery import deliveries, settle
from trunkline.bus.heeding import heeding
from trunkline.bus.publish import publish
from trunkline.bus.streams import WORK
from trunkline.contracts import subjects
from trunkline.contracts.ids import TenantId, Token
from trunkline.contracts.message import Message

log = structlog.get_logger()

WAIT: Final = 5.0
PAUSE: Final = 0.5


class WorkItem(Message):
    """One attempt at one task."""

    tenant: Token
    task: Token
    attempt: int
    pool: Token
    priority: Token


Carry = Callable[[WorkItem, int], Awaitable[None]]
"""Does the work; the number is how often it was handed out, this time included."""


class Work:
    def __init__(self, js: JetStreamContext, dead: DeadLetters) -> None:
        self._js = js
        self._dead = dead

    async def put(self, item: WorkItem) -> None:
        """Release one attempt; putting it twice puts it once."""
        subject = subjects.work(item.pool, item.priority, TenantId(item.tenant))
        await publish(self._js, subject, item.model_dump_json().encode(), id=f"work:{item.task}:{item.attempt}")

    async def take(self, pool: str, capacity: int, carry: Carry) -> None:
        """For ever: take work while there are hands, carry it, and acknowledge it when it is done.

        Work whose carrier died is delivered again after the ack wait. Cancelling hands back what is being carried.
        """
        subscription = await self._js.pull_subscribe_bind(f"work-{pool}", WORK)
        async with asyncio.TaskGroup() as group:
            try:
                async for message in self._messages(subscription, hands := asyncio.Semaphore(capacity)):
                    group.create_task(self._carry(message, carry)).add_done_callback(lambda _: hands.release())
            finally:  # before anything is handed back: what is handed back must not be given to us again
                await self._let_go(subscription)

    async def _messages(self, subscription: JetStreamContext.PullSubscription, hands: asyncio.Semaphore) -> AsyncIterator[Msg]:
        """One message for each free hand; whoever takes it releases the hand when it is done."""
        while True:
            await hands.acquire()
            message = await self._next(subscription)
            if message is None:
                hands.release()
            else:
                yield message

    async def _let_go(self, subscription: JetStreamContext.PullSubscription) -> None:
        with suppress(NatsError, TimeoutError):
            await subscription.unsubscribe()

    async def _next(self, subscription: JetStreamContext.PullSubscription) -> Msg | None:
        try:
            return (await heeding(subscription.fetch(1, timeout=WAIT)))[0]
        except TimeoutError:
            return None
        except NatsError as error:
            log.warning("work.fetch_failed", error=str(error))
            await asyncio.sleep(PAUSE)
            return None

    async def _carry(self, message: Msg, carry: Carry) -> None:
        async def read_and_carry() -> None:
            await carry(WorkItem.model_validate_json(message.data), deliveries(message))

        try:
            await settle(message, read_and_carry, self._dead.put)
        except asyncio.CancelledError:
            with suppress(NatsError, TimeoutError):
                await message.nak()
            raise
