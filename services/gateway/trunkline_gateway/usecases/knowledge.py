"""Work in a sandbox that its caller has: a task without a repository, submitted once the sandbox is ready."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline.auth.principal import Principal
from trunkline.contracts.approval import OpenApproval
from trunkline.contracts.ids import TaskId
from trunkline.contracts.sandbox import pool_of
from trunkline.contracts.task import Assignment, SubmitTask, Submitted
from trunkline.telemetry.traces import named
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.sandboxes import Sandboxes
from trunkline_gateway.usecases.tasks import APPROVALS, ROUTER, Tasks


@dataclass(frozen=True, slots=True)
class KnowledgeWish:
    """A job as asked for. `user` is whose sandbox `assignment.sandbox` is, in the caller's word; `at` the moment it was asked for."""

    user: str
    assignment: Assignment
    aliases: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Knowledge:
    tasks: Tasks
    sandboxes: Sandboxes

    async def submit(self, principal: Principal, wish: KnowledgeWish, *, id: TaskId) -> Submitted:
        """Returns when the task is on disk; the same `id` again is the same task. A sandbox that is stopped is started before, within 60 s.

        Raises NotFound SANDBOX_NOT_FOUND, Conflict SANDBOX_NOT_READY, Broken SANDBOX_RESTART_FAILED, Exhausted, Unavailable.
        """
        assert wish.assignment.sandbox
        # A caller keeps its users apart by naming them: one user's work never comes into another's sandbox.
        view = await self.sandboxes.started(principal, wish.assignment.sandbox, user=wish.user)
        command = SubmitTask(
            tenant=principal.tenant,
            at=wish.at,
            task_id=id,
            assignment=struck.assignment(wish.assignment).model_copy(
                update={"deadline_s": self.tasks.deadline_s, "pool": pool_of(view.site, view.provider)}
            ),
            submitted_by=principal.subject,
            aliases=wish.aliases,
            trace_id=named(None, id),
        )
        submitted = Submitted.model_validate((await self.tasks.commands.send(ROUTER, id, command)).body)
        if submitted.hold:  # so that the question can be answered as soon as the caller has its answer
            await self.tasks.commands.send(APPROVALS, id, OpenApproval(tenant=principal.tenant, at=wish.at, task_id=id))
        return submitted
