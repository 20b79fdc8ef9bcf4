"""What can be asked about tasks: submit, read, list, report, cancel, follow, and look at a pull request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

from pydantic import SecretStr

from trunkline.auth.policy import owns
from trunkline.auth.principal import Principal, Role
from trunkline.contracts.approval import OpenApproval
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Denied, NotFound, Unauthenticated
from trunkline.contracts.forge import PullRequestView, ShowPullRequest
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import (
    ENDS,
    Assignment,
    CancelTask,
    Moved,
    Reported,
    ReportTask,
    SubmitTask,
    Submitted,
    TaskStatus,
    TaskSubmitted,
    Visibility,
)
from trunkline.contracts.views import CountTasks, GetTask, ListTasks, TaskCounts, TaskPage, TaskView
from trunkline_gateway.ports import Commands, Feed, Timeline, Vault
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.vaulted import NoVault, vaulted

ROUTER: Final = "router"
RELAY: Final = "relay"
SANDBOX: Final = "sandbox"
APPROVALS: Final = "approvals"
NO_ID: Final = "-"
NOBODY: Final = TenantId("-")


@dataclass(frozen=True, slots=True)
class Tasks:
    """Every verb may raise Unavailable."""

    commands: Commands
    feed: Feed
    now: Callable[[], datetime]
    new_task_id: Callable[[], TaskId]
    deadline_s: float = 3600.0
    """What a task gets that asks for no deadline of its own."""
    vault: Vault = field(default_factory=NoVault)

    async def submit(
        self,
        principal: Principal,
        assignment: Assignment,
        *,
        trace_id: str | None = None,
        id: TaskId | None = None,
        token: SecretStr | None = None,
    ) -> Submitted:
        """Returns when the task is on disk, and so is the question that it waits for, if it is held. `token`: the caller's, for the forge.

        The same `id` again is the same task. Raises Invalid for a type that nobody has a pool for, NotFound for a parent that is not there,
        Unsupported for a token where none are kept.
        """
        task = id or self.new_task_id()
        if "deadline_s" not in assignment.model_fields_set:
            assignment = assignment.model_copy(update={"deadline_s": self.deadline_s})
        command = SubmitTask(
            tenant=principal.tenant,
            at=self.now(),
            task_id=task,
            assignment=struck.assignment(assignment, token).model_copy(update={"credential": task if token else None}),
            submitted_by=principal.subject,
            trace_id=trace_id,
        )
        async with vaulted(self.vault, principal.tenant, task, token):
            submitted = Submitted.model_validate((await self.commands.send(ROUTER, task, command)).body)
        if token and submitted.status.terminal:  # the request was repeated after the task's end
            await self.vault.forget(principal.tenant, task)
        if submitted.hold:
            # The approvals service hears of it by itself too; asking it makes sure that the id in our answer can be decided at once.
            await self.commands.send(APPROVALS, task, OpenApproval(tenant=principal.tenant, at=command.at, task_id=task))
        return submitted

    async def task(self, principal: Principal, task: TaskId) -> TaskView:
        """Never older than what was answered before; an open one for everybody in its tenant. Raises NotFound, also for what the caller
        may not see."""
        command = GetTask(tenant=principal.tenant, at=self.now(), task=task)
        view = TaskView.model_validate((await self.commands.send(RELAY, task, command)).body)
        if not _sees(principal, view):
            raise NotFound("there is no task by that name", code="TASK_NOT_FOUND", task=task)
        return view

    async def own(self, principal: Principal, task: TaskId) -> TaskView:
        """As `task`, and one that is only open to the caller is refused. Raises also Unauthenticated, Denied."""
        view = await self.task(principal, task)
        if owns(principal, view.submitted_by):
            return view
        if principal.role is Role.ANONYMOUS:
            raise Unauthenticated("show the token with which it was submitted; to see it does not take one", code="AUTH_REQUIRED")
        raise Denied("somebody else submitted it: you may see it, and nothing more", code="NOT_YOUR_TASK")

    async def list(self, principal: Principal, query: ListTasks) -> TaskPage:
        """`query` as asked; whose tasks they are is not the caller's to say. Raises Invalid."""
        asked = query.model_copy(update={"tenant": principal.tenant, "at": self.now()})
        return TaskPage.model_validate((await self.commands.send(RELAY, NO_ID, asked)).body)

    async def counts(self) -> TaskCounts:
        """Of all tenants together."""
        command = CountTasks(tenant=NOBODY, at=self.now())
        return TaskCounts.model_validate((await self.commands.send(RELAY, NO_ID, command)).body)

    async def report(self, principal: Principal, task: TaskId, reported: Reported, error: str = "") -> TaskStatus:
        """An agent says how its task goes. Raises NotFound; Conflict for a move that is not open to it."""
        command = ReportTask(
            tenant=principal.tenant, at=self.now(), task_id=task, reported=reported, by=principal.subject, error=struck.text(error)
        )
        return Moved.model_validate((await self.commands.send(ROUTER, task, command)).body).status

    async def cancel(self, principal: Principal, task: TaskId, reason: str) -> TaskView:
        """Raises NotFound, Unauthenticated or Denied for somebody else's, Conflict when the task is over already."""
        if not owns(principal, ""):
            await self.own(principal, task)
        command = CancelTask(tenant=principal.tenant, at=self.now(), task_id=task, by=principal.subject, reason=struck.text(reason))
        await self.commands.send(ROUTER, task, command)
        return await self.task(principal, task)

    async def timeline(self, principal: Principal, task: TaskId) -> Timeline:
        """The log knows it first, and without the relay; of what it no longer keeps the views still know. Raises NotFound."""
        found = await self.feed.find(principal.tenant, task)
        if found and await self._seen_by(principal, task):
            return found
        view = await self.task(principal, task)
        return Timeline(TenantId(view.tenant), TaskId(view.task_id), view.seq if view.status.terminal else None)

    async def _seen_by(self, principal: Principal, task: TaskId) -> bool:
        """Whether the log alone is enough to know that the caller may see it."""
        if owns(principal, ""):
            return True
        made = await self.feed.submission(principal.tenant, task)
        return made is not None and _sees(principal, made)

    async def follow(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        """What happened beyond `after`, ending behind the fact that ends the task."""
        feeding = self.feed.follow(timeline, after)
        async with aclosing(cast(AsyncGenerator[Event | Gap, None], feeding)) as items:
            async for item in items:
                yield item
                if isinstance(item, Event) and isinstance(item.fact, ENDS):
                    return

    async def page(self, timeline: Timeline, after: Cursor | None, limit: int) -> tuple[tuple[Event | Gap, ...], bool]:
        """What happened beyond `after` up to now, at most `limit` of it, and whether there is more."""
        return await self.feed.page(timeline, after, limit)

    async def pull_request(self, principal: Principal, repo: str, number: int) -> PullRequestView:
        """Raises NotFound; Unsupported where the forge has pages of its own."""
        command = ShowPullRequest(tenant=principal.tenant, at=self.now(), repo=repo, number=number)
        return PullRequestView.model_validate((await self.commands.send(SANDBOX, NO_ID, command)).body)


def _sees(principal: Principal, made: TaskView | TaskSubmitted) -> bool:
    return owns(principal, made.submitted_by) or made.assignment.visibility is Visibility.OPEN
