"""Released work of one pool of one tenant, handed out one by one to whoever puts it into an agent's hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from trunkline.bus.acks import Acks
from trunkline.bus.answers import Answers
from trunkline.bus.dead import DeadLetters
from trunkline.bus.delivery import seq_of, tries_of
from trunkline.bus.failures import Failures
from trunkline.bus.taker import Taker
from trunkline.bus.watching import Watch
from trunkline.bus.work import WorkItem
from trunkline.contracts.ids import TenantId

log = structlog.get_logger()


class Handed:
    """One released attempt. What is neither done nor given back comes again by itself."""

    def __init__(self, item: WorkItem, message: Msg, ends: Ends) -> None:
        self.item = item
        self._message = message
        self._ends = ends

    @property
    def place(self) -> int:
        """In the queue; each time that it comes it is the same."""
        return seq_of(self._message)

    @property
    def times(self) -> int:
        """How often it was handed out, for whatever reason."""
        return tries_of(self._message)

    def watched(self) -> AbstractContextManager[object]:
        """For `with`: the time in which it is put into somebody's hands."""
        item = self.item
        return self._ends.watch.handing(item.pool, item.tenant, item.task, self._message.headers)

    async def done(self) -> None:
        """It is in somebody's hands, or nobody's business any more."""
        await self._ends.acks.put(self._message)

    async def back(self, delay: float) -> None:
        """For somebody else, in `delay` seconds; said again, what counts is what was said last."""
        self._message._ackd = False  # nats-py lets only one word be said of a message
        with suppress(NatsError):
            await self._message.nak(delay=delay)

    async def failed(self, error: Exception) -> None:
        """It broke whoever looked at it: later again, and a dead letter after as many times as anything else; to be handed back is none."""
        await self._ends.failures.put(self._message, error)


@dataclass(frozen=True, slots=True)
class Ends:
    """What may become of released work, told to whom."""

    watch: Watch
    acks: Acks
    dead: DeadLetters
    failures: Failures


class Handing:
    """Takes nothing that nobody waits for: what is asked for is asked for now."""

    def __init__(self, taker: Taker, ends: Ends) -> None:
        self._taker = taker
        self._ends = ends

    async def next(self, hands: int = 1) -> Handed:
        """However long it takes. Cancelled, what came at that very moment is handed back. `hands` says how many are wanted soon."""
        while True:
            message = await self._taker.message(hands)
            try:
                return Handed(WorkItem.model_validate_json(message.data), message, self._ends)
            except ValidationError as error:
                log.error("work.unreadable", subject=message.subject)
                await self._ends.dead.put(message, f"it is no released work: {type(error).__name__}")
                with suppress(NatsError):
                    await message.term()

    def expect(self, lane: str) -> None:
        """Something comes back to the lane now."""
        self._taker.expect(lane)


class Hands:
    """The door to the released work of any pool."""

    def __init__(self, answers: Answers, dead: DeadLetters, watch: Watch) -> None:
        self._answers = answers
        self._ends = Ends(watch, Acks(answers.client), dead, Failures(dead))
        self._takers: set[Taker] = set()

    def reconnected(self) -> None:
        """What was asked, or rang, while the connection was away was not heard."""
        for taker in self._takers:
            taker.doubt()

    @asynccontextmanager
    async def of(self, tenant: TenantId, pool: str) -> AsyncIterator[Handing]:
        """Raises Unavailable when the bus is away."""
        taker = Taker(self._answers, pool, tenant, meters=self._ends.watch.meters)
        await taker.open()
        self._takers.add(taker)
        try:
            yield Handing(taker, self._ends)
        finally:
            self._takers.discard(taker)
            await taker.close()
            await self._ends.acks.flush()
