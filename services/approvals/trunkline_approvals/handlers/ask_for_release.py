"""A task is held: ask whether it may begin, unless it is over already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from trunkline.contracts import subjects
from trunkline.contracts.approval import RequestApproval
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline_approvals.model import still_held
from trunkline_approvals.ports import Tasks

KIND = "task"


class AskForRelease:
    """Does the same however it comes to hear of the task, and as often as it does."""

    def __init__(self, tasks: Tasks, asking: Callable[[RequestApproval], Awaitable[Accepted]], now: Callable[[], datetime]) -> None:
        self._tasks = tasks
        self._asking = asking
        self._now = now

    async def __call__(self, tenant: str, task_id: str) -> Accepted:
        """The body is empty when nothing holds the task. Raises NotFound, Conflict, Unavailable."""
        loaded = await self._tasks.load(subjects.event(TenantId(tenant), TaskId(task_id), subjects.TASK))
        if not loaded.records:
            raise NotFound("there is no task by that id", code="TASK_NOT_FOUND", task_id=task_id)
        held = still_held(fact for stored in loaded.records for fact in stored.record.facts)
        if held is None:
            return Accepted(seq=loaded.seq)
        request = RequestApproval(
            tenant=tenant,
            # People have their time from the moment they are asked, also when this service was away when the task was held.
            at=self._now(),
            approval_id=held.hold.approval_id,
            task_id=task_id,
            kind=KIND,
            subject=held.subject,
            digest=held.hold.digest,
            requested_by=held.requested_by,
            about=held.about,
        )
        return await self._asking(request)
