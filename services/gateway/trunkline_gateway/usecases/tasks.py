"""What can be asked about tasks: submit, read, list, report, cancel, and look at a pull request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import SecretStr

from trunkline.auth.policy import owns, sees, sees_all
from trunkline.auth.principal import Principal, Role, is_strangers
from trunkline.contracts.approval import OpenApproval
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Denied, NotFound, Unauthenticated
from trunkline.contracts.forge import PullRequestView, ShowPullRequest
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import (
    Assignment,
    CancelTask,
    Moved,
    Reported,
    ReportTask,
    SubmitTask,
    Submitted,
    TaskStatus,
    Visibility,
)
from trunkline.contracts.views import CountTasks, GetTask, ListTasks, TaskCounts, TaskPage, TaskView
from trunkline.telemetry.traces import named
from trunkline_gateway.ports import Commands, Feed, Timeline, Vault
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.lately import Lately
from trunkline_gateway.usecases.strangers import Stranger
from trunkline_gateway.usecases.vaulted import NoVault, vaulted

ROUTER: Final = "router"
RELAY: Final = "relay"
SANDBOX: Final = "sandbox"
APPROVALS: Final = "approvals"
NO_ID: Final = "-"
NOBODY: Final = TenantId("-")
TOKEN: Final = "show the token with which it was submitted; to see it does not take one"
WHOSE: Final = "this is for whoever sent it: ask from the address that it came from, or show the clientFingerprint that it was sent with"


class _Known(NamedTuple):
    """What never changes about a task, and says who sees it."""

    submitted_by: str
    visibility: Visibility


class Made(NamedTuple):
    """What the router answered, and the task as it is stored."""

    submitted: Submitted
    kept: Assignment


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
    _known: Lately[_Known] = field(default_factory=Lately, init=False)

    async def submit(
        self,
        principal: Principal,
        assignment: Assignment,
        *,
        trace_id: str | None = None,
        id: TaskId | None = None,
        token: SecretStr | None = None,
    ) -> Made:
        """Returns when the task is on disk, and so is the question that it waits for, if it is held. `token`: the caller's, for the forge.

        The same `id` again is the same task. Raises Invalid for a type that nobody has a pool for, NotFound for a parent that is not there,
        Unsupported for a token where none are kept.
        """
        if assignment.parent:
            await self.check(principal, TaskId(assignment.parent))
        task = id or self.new_task_id()
        settled = self._settled(struck.assignment(assignment, token), task if token else None)
        command = SubmitTask(
            tenant=principal.tenant,
            at=self.now(),
            task_id=task,
            assignment=settled,
            submitted_by=principal.subject,
            trace_id=named(trace_id, task),
        )
        submitted = await self.put(command, token)
        if token and submitted.status.terminal:  # the request was repeated after the task's end
            await self.vault.forget(principal.tenant, task)
        return Made(submitted, command.assignment)

    async def put(self, command: SubmitTask, token: SecretStr | None = None) -> Submitted:
        """As `submit`, of what was looked at already."""
        task = TaskId(command.task_id)
        answer = await (self._entrusted(command, token) if token else self.commands.send(ROUTER, task, command))
        submitted = Submitted.model_validate(answer.body)
        if submitted.hold:
            # The approvals service hears of it by itself too; asking it makes sure that the id in our answer can be decided at once.
            await self.commands.send(APPROVALS, task, OpenApproval(tenant=command.tenant, at=command.at, task_id=task))
        return submitted

    def _settled(self, assignment: Assignment, credential: TaskId | None) -> Assignment:
        """The very same where nothing of it changes, as is usual."""
        settled: dict[str, object] = {}
        if assignment.credential != credential:
            settled["credential"] = credential
        if "deadline_s" not in assignment.model_fields_set and assignment.deadline_s != self.deadline_s:
            settled["deadline_s"] = self.deadline_s
        return assignment.model_copy(update=settled) if settled else assignment

    async def _entrusted(self, command: SubmitTask, token: SecretStr) -> Accepted:
        task = TaskId(command.task_id)
        async with vaulted(self.vault, TenantId(command.tenant), task, token):
            return await self.commands.send(ROUTER, task, command)

    async def task(self, principal: Principal, task: TaskId) -> TaskView:
        """Never older than what was answered before. `task` may be an alias. Raises NotFound, also for what the caller may not see."""
        view = await self._view(principal, task)
        if not sees(principal, view.submitted_by, view.assignment.visibility):
            raise _unknown(task)
        return view

    async def own(self, principal: Principal, task: TaskId, stranger: Stranger | None = None) -> TaskView:
        """As `task`, and one that is only open to the caller is refused; `stranger` is what a caller without a name is known by.

        Raises also Unauthenticated, Denied.
        """
        view, nameless = await self.task(principal, task), principal.role is Role.ANONYMOUS
        if owns(principal, view.submitted_by) and (not nameless or (stranger and stranger.sent(view))):
            return view
        if nameless:
            raise Unauthenticated(WHOSE if is_strangers(view.submitted_by) else TOKEN, code="AUTH_REQUIRED")
        raise Denied("somebody else submitted it: you may see it, and nothing more", code="NOT_YOUR_TASK")

    async def is_hidden(self, principal: Principal, task: TaskId) -> bool:
        """Whether it is there, and not for the caller."""
        if sees_all(principal):
            return False
        made = await self._made(principal.tenant, task) or await self._forgotten(principal, task)
        return made is not None and not sees(principal, *made)

    async def check(self, principal: Principal, task: TaskId) -> None:
        """Before its owner is asked, who asks no such thing. Raises NotFound for one that is hidden, as for one that is missing."""
        if await self.is_hidden(principal, task):
            raise _unknown(task)

    async def check_own(self, principal: Principal, task: TaskId, stranger: Stranger | None = None) -> None:
        """Whether the caller may do something to it. Raises as `own`."""
        await (self.check(principal, task) if owns(principal, "") else self.own(principal, task, stranger))

    async def list(self, principal: Principal, query: ListTasks) -> TaskPage:
        """`query` as asked; whose tasks they are is not the caller's to say. Raises Invalid."""
        whose = None if sees_all(principal) else principal.subject
        asked = query.model_copy(update={"tenant": principal.tenant, "at": self.now(), "seen_by": whose})
        return TaskPage.model_validate((await self.commands.send(RELAY, NO_ID, asked)).body)

    async def counts(self) -> TaskCounts:
        """Of all tenants together, and whoever may see them: numbers tell of nobody."""
        command = CountTasks(tenant=NOBODY, at=self.now())
        return TaskCounts.model_validate((await self.commands.send(RELAY, NO_ID, command)).body)

    async def report(self, principal: Principal, task: TaskId, reported: Reported, error: str = "") -> TaskStatus:
        """An agent says how its task goes. Raises NotFound; Conflict for a move that is not open to it."""
        await self.check(principal, task)
        command = ReportTask(
            tenant=principal.tenant, at=self.now(), task_id=task, reported=reported, by=principal.subject, error=struck.text(error)
        )
        return Moved.model_validate((await self.commands.send(ROUTER, task, command)).body).status

    async def cancel(self, principal: Principal, task: TaskId, reason: str, stranger: Stranger | None = None) -> TaskView:
        """Raises NotFound, Unauthenticated or Denied for somebody else's, Conflict when the task is over already."""
        await self.check_own(principal, task, stranger)
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
        if sees_all(principal):
            return True
        made = await self._made(principal.tenant, task)
        return made is not None and sees(principal, *made)

    async def _made(self, tenant: TenantId, task: TaskId) -> _Known | None:
        """As the log says it; asked of it once."""
        name = f"{tenant}/{task}".encode()
        if known := self._known.get(name):
            return known[0]
        found = await self.feed.submission(tenant, task)
        if found is None:
            return None
        made = _Known(found.submitted_by, found.assignment.visibility)
        self._known.put(name, made, 0.0)
        return made

    async def _forgotten(self, principal: Principal, task: TaskId) -> _Known | None:
        """Of what the log no longer keeps the views still know."""
        try:
            view = await self._view(principal, task)
        except NotFound:
            return None
        return _Known(view.submitted_by, view.assignment.visibility)

    async def _view(self, principal: Principal, task: TaskId) -> TaskView:
        command = GetTask(tenant=principal.tenant, at=self.now(), task=task)
        return TaskView.model_validate((await self.commands.send(RELAY, NO_ID if ":" in task else task, command)).body)

    async def page(self, timeline: Timeline, after: Cursor | None, limit: int) -> tuple[tuple[Event | Gap, ...], bool]:
        """What happened beyond `after` up to now, at most `limit` of it, and whether there is more."""
        return await self.feed.page(timeline, after, limit)

    async def pull_request(self, principal: Principal, repo: str, number: int) -> PullRequestView:
        """Raises NotFound; Unsupported where the forge has pages of its own."""
        command = ShowPullRequest(tenant=principal.tenant, at=self.now(), repo=repo, number=number)
        return PullRequestView.model_validate((await self.commands.send(SANDBOX, NO_ID, command)).body)


def _unknown(task: TaskId) -> NotFound:
    return NotFound("there is no task by that name", code="TASK_NOT_FOUND", task=task)
