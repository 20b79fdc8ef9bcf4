"""Events that people and agents publish: kept as they were said, beside the task that they are about."""

from __future__ import annotations

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.record import Record
from trunkline.contracts.task import PublishEvent


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
        return Accepted(seq=await self._log.say(subject, record, id=f"event:{wish.tenant}:{wish.event_id}"))
