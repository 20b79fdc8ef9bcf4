"""The verbs that every dialect shares: submit, read, cancel, follow, and look at a pull request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.forge import PullRequestView, ShowPullRequest
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import ENDS, Assignment, CancelTask, SubmitTask
from trunkline.contracts.views import GetTask, TaskView
from trunkline_gateway.ports import Commands, Feed, Timeline

ROUTER: Final = "router"
RELAY: Final = "relay"
SANDBOX: Final = "sandbox"
NO_ID: Final = "-"


@dataclass(frozen=True, slots=True)
class UseCases:
    """What can be asked of Trunkline. Every verb may raise Unavailable."""

    commands: Commands
    feed: Feed
    now: Callable[[], datetime]
    new_task_id: Callable[[], TaskId]
    deadline_s: float = 3600.0
    """What a task gets that asks for no deadline of its own."""

    async def submit(self, principal: Principal, assignment: Assignment) -> TaskId:
        """Returns when the task is on disk."""
        task = self.new_task_id()
        if "deadline_s" not in assignment.model_fields_set:
            assignment = assignment.model_copy(update={"deadline_s": self.deadline_s})
        command = SubmitTask(tenant=principal.tenant, at=self.now(), task_id=task, assignment=assignment, submitted_by=principal.subject)
        await self.commands.send(ROUTER, task, command)
        return task

    async def task(self, principal: Principal, task: TaskId) -> TaskView:
        """Never older than what was answered before. Raises NotFound."""
        command = GetTask(tenant=principal.tenant, at=self.now(), task=task)
        return TaskView.model_validate((await self.commands.send(RELAY, task, command)).body)

    async def cancel(self, principal: Principal, task: TaskId, reason: str) -> TaskView:
        """Raises NotFound, or Conflict when the task is over already."""
        command = CancelTask(tenant=principal.tenant, at=self.now(), task_id=task, by=principal.subject, reason=reason)
        await self.commands.send(ROUTER, task, command)
        return await self.task(principal, task)

    async def timeline(self, principal: Principal, task: TaskId) -> Timeline:
        """The log knows it first, and without the relay; of what it no longer keeps the views still know. Raises NotFound."""
        if found := await self.feed.find(TenantId(principal.tenant), task):
            return found
        view = await self.task(principal, task)
        return Timeline(TenantId(view.tenant), TaskId(view.task_id), view.seq if view.status.terminal else None)

    async def follow(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        """What happened beyond `after`, ending behind the fact that ends the task."""
        feeding = self.feed.follow(timeline, after)
        async with aclosing(cast(AsyncGenerator[Event | Gap, None], feeding)) as items:
            async for item in items:
                yield item
                if isinstance(item, Event) and isinstance(item.fact, ENDS):
                    return

    async def pull_request(self, principal: Principal, repo: str, number: int) -> PullRequestView:
        """Raises NotFound; Unsupported where the forge has pages of its own."""
        command = ShowPullRequest(tenant=principal.tenant, at=self.now(), repo=repo, number=number)
        return PullRequestView.model_validate((await self.commands.send(SANDBOX, NO_ID, command)).body)
