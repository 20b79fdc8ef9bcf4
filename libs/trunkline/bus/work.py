"""The queue of released work: put once, taken by as many runners as there are, the urgent first, each holding what it can carry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from trunkline.bus.answers import Answers
from trunkline.bus.dead import DeadLetters
from trunkline.bus.delivery import deliveries, settle
from trunkline.bus.patience import patiently
from trunkline.bus.publish import publish
from trunkline.bus.streams import WORK
from trunkline.bus.taker import Taker
from trunkline.bus.watching import Watch, pool_label
from trunkline.contracts import subjects
from trunkline.contracts.ids import Token
from trunkline.contracts.message import Message
from trunkline.telemetry.traces import carried, concerns


class WorkItem(Message):
    """One attempt at one task."""

    tenant: Token
    task: Token
    attempt: int
    pool: Token
    priority: Token
    round: int = 0
    """Which time it is released: a parked run is released again."""
    release: Token | None = None
    """Names this item, where one round may come to be released twice."""


Carry = Callable[[WorkItem, int], Awaitable[None]]
"""Does the work; the number is how often it was handed out, this time included."""


class Work:
    def __init__(self, answers: Answers, js: JetStreamContext, dead: DeadLetters, watch: Watch) -> None:
        self._watch = watch
        self._js = js
        self._answers = answers
        self._takers: set[Taker] = set()
        self._dead = dead

    async def put(self, item: WorkItem, ttl_s: float | None = None) -> None:
        """Release one attempt; putting it twice puts it once. What nobody has done within `ttl_s` seconds is forgotten."""
        subject = subjects.work(item.pool, item.priority, item.tenant)
        again = f":{item.round}" if item.round else ""
        name = f"work:{item.tenant}:{item.task}:{item.attempt}{again}"
        kept = {"Nats-TTL": f"{max(round(ttl_s), 1)}s"} if ttl_s else {}
        await publish(self._answers, subject, item.written(), id=name, headers=carried(kept))

    async def pools(self) -> frozenset[str]:
        """Those in which anything waits, or is carried. Raises BusAway."""
        info = await patiently(lambda: self._js.stream_info(WORK, subjects_filter=subjects.ALL_WORK))
        return frozenset(subject.split(".")[1] for subject in info.state.subjects or {})

    async def take(self, pool: str, capacity: int, carry: Carry, weights: Mapping[str, float] | None = None) -> None:
        """For ever: take work while there are hands, the urgent first and tenants in turn, carry it, and acknowledge it when it is done.

        Work whose carrier died is delivered again after the ack wait. Cancelling hands back what is being carried.
        """
        taker = Taker(self._answers, pool, weights=weights, meters=self._watch.meters)
        await taker.open()
        self._takers.add(taker)
        async with asyncio.TaskGroup() as group:
            try:
                async for message in self._messages(taker, hands := asyncio.Semaphore(capacity)):
                    group.create_task(self._carry(message, carry)).add_done_callback(lambda _: hands.release())
            finally:  # before anything is handed back: what is handed back must not be given to us again
                self._takers.discard(taker)
                await taker.close()
                await asyncio.sleep(0)  # what was given a hand a moment ago begins, for only what began can be handed back

    def reconnected(self) -> None:
        """What rang while the connection was away was not heard."""
        for taker in self._takers:
            taker.doubt()

    async def _messages(self, taker: Taker, hands: asyncio.Semaphore) -> AsyncIterator[Msg]:
        """One message for each free hand; whoever takes it releases the hand when it is done."""
        while True:
            await hands.acquire()
            yield await taker.message()

    async def _carry(self, message: Msg, carry: Carry) -> None:
        async def read_and_carry() -> None:
            item = WorkItem.model_validate_json(message.data)
            concerns(item.task)
            await carry(item, deliveries(message))

        try:
            with self._watch.delivery(f"work-{pool_label(message.subject.split('.')[1])}", message) as seen:
                await settle(message, lambda: seen.tried(read_and_carry()), self._dead.put)
        except asyncio.CancelledError:
            with suppress(NatsError, TimeoutError):
                await message.nak()
            raise
