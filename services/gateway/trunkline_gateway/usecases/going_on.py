"""Going on from a task that is over: a new one continues it, or forks off it at an event."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from pydantic import SecretStr

from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import Assignment, Executor, Submitted, Visibility
from trunkline.contracts.views import TaskView
from trunkline_gateway.ports import Timeline
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.kept import Kept
from trunkline_gateway.usecases.onward import Found, continued, forked
from trunkline_gateway.usecases.tasks import Tasks
from trunkline_gateway.usecases.terms import NONE, Terms, under

MOST_EARLIER: Final = 100
"""Tasks that continue one another, as far back as it is looked for what became of their pull request."""
LAST_INDEX: Final = 9_999
"""Behind every fact of one decision."""


@dataclass(frozen=True, slots=True)
class Next:
    """What is to be done next, and what is demanded of it on top of what held the earlier task. `token` is the caller's, for the forge."""

    text: str
    terms: Terms = NONE
    token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class WentOn:
    """The new task, and what it goes on from."""

    submitted: Submitted
    assignment: Assignment
    kept: Kept


@dataclass(frozen=True, slots=True)
class _Wish:
    next: Next
    found: Found


@dataclass(frozen=True, slots=True)
class GoingOn:
    """Both raise NotFound, Unavailable, and Conflict when the task is not over, is not ours, or nothing was kept of it.

    Invalid for terms that no task can have.
    """

    tasks: Tasks

    async def continue_(self, principal: Principal, task: TaskId, next: Next, *, id: TaskId) -> WentOn:
        """On its branch, with its pull request. Raises Conflict also once that was merged or closed."""
        view = await self._over(principal, task, next)
        await self._still_open(principal, view)
        return await self._submit(principal, view, _Wish(next, continued(view, await self._events(view))), id)

    async def fork(self, principal: Principal, task: TaskId, next: Next, event: Cursor | None, *, id: TaskId) -> WentOn:
        """On a branch of its own, as it was at the newest snapshot at or before the event. Raises Invalid for no event of the task."""
        view = await self._over(principal, task, next)
        if event and not await self._told(view, event):
            why = "the task's timeline has no event by that id; take one from GET /tasks/{task_id}/events"
            raise Invalid(why, code="BAD_EVENT_ID", field="from")
        return await self._submit(principal, view, _Wish(next, forked(view, await self._events(view), event)), id)

    async def _events(self, view: TaskView) -> tuple[Event, ...]:
        """Of the run; of one that never began, the first that there is of the task."""
        run = await self.tasks.feed.run(TenantId(view.tenant), TaskId(view.task_id))
        return run or tuple([event for event in await self._page(view, None) if isinstance(event, Event)])

    async def _told(self, view: TaskView, event: Cursor) -> bool:
        """Whether that event is one of the task's own."""
        before = replace(event, index=event.index - 1) if event.index else Cursor(event.epoch, event.seq - 1, LAST_INDEX)
        return any(isinstance(found, Event) and found.cursor == event for found in await self._page(view, before))

    async def _page(self, view: TaskView, after: Cursor | None) -> tuple[Event | Gap, ...]:
        """The one event behind that place."""
        page, _ = await self.tasks.feed.page(Timeline(TenantId(view.tenant), TaskId(view.task_id)), after, 1)
        return page

    async def _still_open(self, principal: Principal, view: TaskView) -> None:
        """What a forge tells of a pull request is told of the task that opened it, not of those that continued it. Raises Conflict."""
        for _ in range(MOST_EARLIER):
            if view.pull_request_state in ("merged", "closed"):
                why = f"its pull request is {view.pull_request_state}; fork the task, or submit a new one"
                raise Conflict(why, code="PULL_REQUEST_OVER", state=view.pull_request_state)
            before = view.assignment.origin
            if before is None or not before.pushed:
                return
            try:
                view = await self.tasks.task(principal, TaskId(before.task))
            except NotFound:  # somebody else's, or forgotten
                return

    async def _over(self, principal: Principal, task: TaskId, next: Next) -> TaskView:
        view = await self.tasks.task(principal, task)
        if view.assignment.executor is not Executor.SANDBOX:
            raise Conflict("an agent elsewhere carried it out, and keeps what it did; submit a new task", code="NOT_YOURS")
        if not view.status.terminal:
            raise Conflict("the task is not over yet; wait for its end, or send its agent a message", code="TASK_NOT_OVER")
        if view.assignment.credential and next.token is None:
            why = "the task came with a token of its caller's, which was forgotten at its end; give one again, as X-GitHub-Token"
            raise Invalid(why, code="FORGE_TOKEN_NEEDED", field="X-GitHub-Token")
        return view

    async def _submit(self, principal: Principal, view: TaskView, wish: _Wish, id: TaskId) -> WentOn:
        """As the earlier one was asked for, so that the same rules hold for it, and those that were given now. Raises Invalid."""
        own = {"prompt": struck.text(wish.next.text), "origin": wish.found.origin, "parent": None, "sla_s": None}
        # What is asked now is this caller's, whoever could see the earlier one; what only its owner saw does not become a tenant's by it.
        owners = view.assignment.visibility is Visibility.OWNER
        own["visibility"] = Visibility.OWNER if owners else Visibility.PRIVATE
        same = view.assignment.model_copy(update={**own, "agent": wish.found.agent or view.assignment.agent})
        asked = under(same, wish.next.terms)
        made = await self.tasks.submit(principal, asked, trace_id=view.trace_id, id=id, token=wish.next.token)
        return WentOn(made.submitted, asked, wish.found.kept)
