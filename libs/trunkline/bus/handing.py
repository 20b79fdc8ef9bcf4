"""Released work of one pool of one tenant, handed out one by one to whoever puts it into an agent's hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from trunkline.bus.acks import Acks
from trunkline.bus.answers import Answers
from trunkline.bus.dead import DeadLetters
from trunkline.bus.taker import Taker
from trunkline.bus.watching import Watch
from trunkline.bus.work import WorkItem
from trunkline.contracts.ids import TenantId

log = structlog.get_logger()


class Handed:
    """One released attempt. What is neither done nor given back comes again by itself."""

    def __init__(self, item: WorkItem, message: Msg, watch: Watch, acks: Acks) -> None:
        self.item = item
        self._message = message
        self._watch = watch
        self._acks = acks

    def watched(self) -> AbstractContextManager[object]:
        """For `with`: the time in which it is put into somebody's hands."""
        item = self.item
        return self._watch.handing(item.pool, item.tenant, item.task, self._message.headers)

    async def done(self) -> None:
        """It is in somebody's hands, or nobody's business any more."""
        await self._acks.put(self._message)

    async def back(self, delay: float) -> None:
        """For somebody else, in `delay` seconds."""
        with suppress(NatsError):
            await self._message.nak(delay=delay)


class Handing:
    """Takes nothing that nobody waits for: what is asked for is asked for now."""

    def __init__(self, taker: Taker, dead: DeadLetters, watch: Watch, acks: Acks) -> None:
        self._taker = taker
        self._dead = dead
        self._watch = watch
        self._acks = acks

    async def next(self, hands: int = 1) -> Handed:
        """However long it takes. Cancelled, what came at that very moment is handed back. `hands` says how many are wanted soon."""
        while True:
            message = await self._taker.message(hands)
            try:
                return Handed(WorkItem.model_validate_json(message.data), message, self._watch, self._acks)
            except ValidationError as error:
                log.error("work.unreadable", subject=message.subject)
                await self._dead.put(message, f"it is no released work: {type(error).__name__}")
                with suppress(NatsError):
                    await message.term()


class Hands:
    """The door to the released work of any pool."""

    def __init__(self, answers: Answers, dead: DeadLetters, watch: Watch) -> None:
        self._answers = answers
        self._dead = dead
        self._watch = watch
        self._acks = Acks(answers.client)

    @asynccontextmanager
    async def of(self, tenant: TenantId, pool: str) -> AsyncIterator[Handing]:
        """Raises Unavailable when the bus is away."""
        taker = Taker(self._answers, pool, tenant)
        await taker.open()
        try:
            yield Handing(taker, self._dead, self._watch, self._acks)
        finally:
            await taker.close()
            await self._acks.flush()
