"""Going on from a task that is over: a new one continues it, or forks off it at an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Conflict, Invalid
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.task import Assignment, Executor, Onward, Origin, Submitted
from trunkline.contracts.views import TaskView
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.kept import Kept, Left, left
from trunkline_gateway.usecases.tasks import Tasks

MOST_TOLD: Final = 8_000
"""Characters of what the earlier task was asked, and of what came of it."""


@dataclass(frozen=True, slots=True)
class WentOn:
    """The new task, and what it goes on from."""

    submitted: Submitted
    assignment: Assignment
    kept: Kept


@dataclass(frozen=True, slots=True)
class _Wish:
    text: str
    origin: Origin
    kept: Kept
    agent: str


@dataclass(frozen=True, slots=True)
class GoingOn:
    """Both raise NotFound, Unavailable, and Conflict when the task is not over, is not ours, or nothing was kept of it."""

    tasks: Tasks

    async def continue_(self, principal: Principal, task: TaskId, text: str, *, id: TaskId) -> WentOn:
        """On its branch, with its pull request. Raises Conflict also once that was merged or closed."""
        view = await self._over(principal, task)
        if view.pull_request_state in ("merged", "closed"):
            why = f"its pull request is {view.pull_request_state}; fork the task, or submit a new one"
            raise Conflict(why, code="PULL_REQUEST_OVER", state=view.pull_request_state)
        run = left(await self.tasks.feed.run(TenantId(view.tenant), task))
        kept = _there(run)
        forward = {"branch": run.branch, "pushed": run.pushed, "base": run.pushed or kept.base, "commit": run.work}
        onward = _origin(view, kept).model_copy(update=forward)
        return await self._submit(principal, view, _Wish(text, onward, kept, run.agent), id)

    async def fork(self, principal: Principal, task: TaskId, text: str, event: Cursor | None, *, id: TaskId) -> WentOn:
        """On a branch of its own, as it was at the newest snapshot at or before the event. Raises Invalid for an event of no task."""
        view = await self._over(principal, task)
        events = await self.tasks.feed.run(TenantId(view.tenant), task)
        if event and events and event.epoch != events[0].cursor.epoch:
            raise Invalid("that event id is of another log", code="BAD_EVENT_ID", field="from")
        then = left(events, event)
        kept = _there(then)
        onward = _origin(view, kept).model_copy(update={"onward": Onward.FORK, "commit": then.work} | _unknown_then(kept, event))
        return await self._submit(principal, view, _Wish(text, onward, kept, left(events).agent), id)

    async def _over(self, principal: Principal, task: TaskId) -> TaskView:
        view = await self.tasks.task(principal, task)
        if view.assignment.executor is Executor.BUS:
            raise Conflict("an agent elsewhere carried it out, and keeps what it did; submit a new task", code="NOT_YOURS")
        if not view.status.terminal:
            raise Conflict("the task is not over yet; wait for its end, or send its agent a message", code="TASK_NOT_OVER")
        return view

    async def _submit(self, principal: Principal, view: TaskView, wish: _Wish, id: TaskId) -> WentOn:
        """As the earlier one was asked for, so that the same rules hold for it."""
        own = {"prompt": struck.text(wish.text), "origin": wish.origin, "parent": None, "sla_s": None}
        asked = view.assignment.model_copy(update={**own, "agent": wish.agent or view.assignment.agent})
        return WentOn(await self.tasks.submit(principal, asked, trace_id=view.trace_id, id=id), asked, wish.kept)


def _there(run: Left) -> Kept:
    if run.kept is None:
        raise Conflict("nothing of the task was kept at or before that: its agent had not begun; submit a new task", code="NOTHING_KEPT")
    return run.kept


def _unknown_then(kept: Kept, event: Cursor | None) -> dict[str, str]:
    """What the agent of that moment cannot know."""
    later = {"summary": ""} if event else {}
    return later if kept.snapshot else {"summary": "", "asked": ""}


def _origin(view: TaskView, kept: Kept) -> Origin:
    return Origin(
        task=view.task_id,
        onward=Onward.CONTINUE,
        attempt=kept.attempt,
        snapshot=kept.snapshot,
        commit=kept.commit,
        base=kept.base,
        session=kept.session,
        asked=view.assignment.prompt[:MOST_TOLD],
        summary=(view.result.summary if view.result else view.error or "")[:MOST_TOLD],
    )
