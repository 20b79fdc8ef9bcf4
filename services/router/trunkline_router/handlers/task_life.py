"""Commands to tasks, and what happens to them: load, decide, append."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

import orjson

from trunkline.bus import Log
from trunkline.contracts.errors import Conflict, DomainError, NotFound
from trunkline.contracts.message import Accepted, Message
from trunkline.contracts.task import Assignment, CancelTask, Moved, ReportTask, SubmitTask, Submitted, TaskStatus
from trunkline.runtime.actor import Actor, Decided
from trunkline.runtime.faults import faultpoint
from trunkline_router.model import ChildSubmitted, Cue, Happening, Task
from trunkline_router.ports import DueTask

MOST_CHILDREN: Final = 1000
"""Parts of one task. Looked at when one more is submitted: those that come at the same moment may be a few more, and count as well."""


class TaskLife:
    """The door to every task."""

    def __init__(self, actor: Actor[Task, tuple[Cue, datetime]], log: Log, now: Callable[[], datetime]) -> None:
        self._actor = actor
        self._log = log
        self._now = now

    async def submit(self, wish: SubmitTask) -> Accepted:
        """The same answer for a repeat, from how the task stands.

        Raises Invalid, NotFound or Conflict for a parent, or a task to go on from, that cannot be one.
        """
        faultpoint("accepted.before_effect")
        due = DueTask(tenant=wish.tenant, task=wish.task_id)
        await self._check_parent(due, wish.assignment.parent)
        await self._check_origin(due, wish.assignment)
        decided = await self._receive(due, wish, wish.at)
        faultpoint("accepted.after_effect")
        if decided.facts and wish.assignment.parent:
            await self._joined(due, wish.assignment.parent)
        return _answered(decided, lambda task: _submitted(wish.task_id, task))

    async def cancel(self, wish: CancelTask) -> Accepted:
        """Raises NotFound, Conflict."""
        decided = await self._receive(DueTask(tenant=wish.tenant, task=wish.task_id), wish, wish.at)
        return _answered(decided, lambda task: Moved(status=task.status))

    async def report(self, wish: ReportTask) -> Accepted:
        """Raises NotFound, Conflict."""
        decided = await self._receive(DueTask(tenant=wish.tenant, task=wish.task_id), wish, wish.at)
        return _answered(decided, lambda task: Moved(status=task.status))

    async def happened(self, due: DueTask, happening: Happening, at: datetime | None = None) -> Task | None:
        """Something outside the task concerns it, now unless `at` says when; the task after it, if there is one."""
        return (await self._receive(due, happening, at or self._now())).state

    async def stands(self, due: DueTask) -> Task | None:
        """As the log has it now. Raises Unavailable."""
        last = await self._log.last(due.subject)
        return await self._actor.state(due.subject, last.seq) if last else None

    async def _check_parent(self, due: DueTask, parent: str | None) -> None:
        if parent is None or await self._log.last(due.subject) is not None:
            return
        above = DueTask(tenant=due.tenant, task=parent)
        last = await self._log.last(above.subject)
        task = await self._actor.state(above.subject, last.seq) if last else None
        if task is None:
            raise NotFound("there is no task by the parent's id; submit the parent first", code="PARENT_NOT_FOUND", parent=parent)
        if task.status is TaskStatus.CANCELLED:
            why = "the parent was cancelled, and so are its parts; submit the task without a parent, or as a part of another"
            raise Conflict(why, code="PARENT_CANCELLED", parent=parent)
        if len(task.children) >= MOST_CHILDREN and due.task not in task.children:
            raise Conflict(f"the parent has {MOST_CHILDREN} parts already; put one more level between", code="TOO_MANY_CHILDREN")

    async def _joined(self, due: DueTask, parent: str) -> None:
        """Whoever reads the parent after the answer finds the part in it. Should this fail, the fact leads to the same."""
        with suppress(DomainError):
            await self.happened(DueTask(tenant=due.tenant, task=parent), ChildSubmitted(due.task))

    async def _check_origin(self, due: DueTask, asked: Assignment) -> None:
        if asked.origin is None or await self._log.last(due.subject) is not None:
            return
        earlier = DueTask(tenant=due.tenant, task=asked.origin.task)
        last = await self._log.last(earlier.subject)
        task = await self._actor.state(earlier.subject, last.seq) if last else None
        if task is None:
            raise NotFound("there is no task by that id to go on from", code="ORIGIN_NOT_FOUND", origin=asked.origin.task)
        if not task.status.terminal:
            raise Conflict("the task is not over yet; wait for its end, or send its agent a message", code="TASK_NOT_OVER")
        if (task.assignment.repo, task.assignment.branch) != (asked.repo, asked.branch):
            raise Conflict("the task worked on another repository, or another branch of it", code="ORIGIN_DIFFERS")

    async def _receive(self, due: DueTask, cue: Cue, at: datetime) -> Decided[Task]:
        return await self._actor.receive(due.subject, (cue, at), at, cause=type(cue).__name__)


def _submitted(task_id: str, task: Task) -> Submitted:
    return Submitted(
        task_id=task_id,
        pool=task.assignment.pool,
        executor=task.assignment.executor,
        status=task.status,
        hold=task.hold,
        gated=task.gated and not task.attempt,
        submitted_at=task.submitted_at,
        sla_at=task.sla_at,
        trace_id=task.trace_id,
    )


def _answered(decided: Decided[Task], body: Callable[[Task], Message]) -> Accepted:
    assert decided.state is not None
    return Accepted(seq=decided.seq, body=orjson.loads(body(decided.state).written()))
