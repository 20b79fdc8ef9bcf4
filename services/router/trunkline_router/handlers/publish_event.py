"""Events that people and agents publish: kept as they were said, beside the task that they are about."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.record import Record
from trunkline.contracts.task import PublishEvent
from trunkline.runtime.ids import minted_at

KNOWN: Final = timedelta(minutes=5)
"""What comes again so soon is known to nats-server, which remembers ids for twice as long. Clocks differ by less, too."""
REPEATED: Final = timedelta(hours=25)
"""Nobody repeats a request for longer: that is a day, which is what an Idempotency-Key lives."""


class PublishedEvents:
    def __init__(self, log: Log) -> None:
        self._log = log

    async def publish(self, wish: PublishEvent) -> Accepted:
        """Returns when it is on disk; the same id again says it once. Raises NotFound for a task that is not there."""
        tenant, task = TenantId(wish.tenant), TaskId(wish.task_id or subjects.NO_TASK)
        if wish.task_id and await self._log.last(subjects.event(tenant, task, subjects.TASK)) is None:
            raise NotFound("there is no task by that id that the event could be about", code="TASK_NOT_FOUND", task=wish.task_id)
        record = Record(at=wish.at, cause=wish.type, facts=(wish.event,))
        subject = subjects.event(tenant, task, subjects.MESSAGE)
        id = f"event:{wish.tenant}:{wish.event_id}"
        earlier = await self._earlier(wish, subject, id)
        return Accepted(seq=await self._log.say(subject, record, id=id) if earlier is None else earlier)

    async def _earlier(self, wish: PublishEvent, subject: str, id: str) -> int | None:
        """Where it was stored when it was said before. Ids say when they were minted: hardly any is old enough to be looked for."""
        named = minted_at(wish.event_id)
        if named is None or not KNOWN <= wish.at - named <= REPEATED:
            return None
        return await self._log.named(subject, id, since=named - KNOWN)
