"""Starts agents in repositories' own workflows, and tells of the runs that came of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.auth.policy import sees_all
from trunkline.auth.principal import Principal
from trunkline.contracts.dispatch import (
    MOST_PAYLOAD,
    SERVICE,
    ReportWorkflowRun,
    SeenBy,
    Workflow,
    WorkflowRun,
    payload_size,
)
from trunkline.contracts.dispatch_views import DispatchPage, DispatchView, ListDispatches
from trunkline.contracts.errors import Conflict, Invalid, NotFound, Unsupported
from trunkline.contracts.ids import TaskId, wire_id
from trunkline.contracts.task import Assignment, Executor, SubmitTask, Submitted
from trunkline.telemetry.traces import named
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.instances import InstanceName, Instances, by_name
from trunkline_gateway.usecases.tasks import NO_ID, Tasks

POOL: Final = "github"
SURFACE: Final = "omnara"
KEY: Final = 9 + 32 + 16 + 10 + 64 + 1
"""Characters of an instance's key without its tenant."""
_SAME: Final = ("executor", "repo", "prompt", "branch", "workflow")
_OWNER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")
_REPO: Final = re.compile(r"(?!-)(?!\.\Z)(?!.*\.\.)[A-Za-z0-9_.-]{1,100}(?<!\.git)")
_BRANCH: Final = re.compile(r"(?![-/.])(?!.*(?:\.\.|//|/\.|@\{|\.lock(?:/|\Z)))(?!(?:@|HEAD)\Z)[^\x00-\x20\x7f~^:?*\[\\]{1,240}(?<![/.])")
"""What git takes, and no program takes as an option."""
_NO_KEY: Final = (
    "This installation makes no keys for agents elsewhere, for it has nothing to make them of: set the same TRUNKLINE_VAULT_KEY, or "
    "TRUNKLINE_VAULT_KEY_FILE, for gateways and relays."
)


@dataclass(frozen=True, slots=True)
class DispatchWish:
    """Which workflow is to run, and what for."""

    owner: str
    repo: str
    prompt: str
    workflow: Workflow
    branch: str = "main"

    @property
    def place(self) -> str:
        return f"{self.owner}/{self.repo}"


@dataclass(frozen=True, slots=True)
class Dispatching:
    """Every verb may raise Unavailable. `keys`: whether keys can be made here."""

    tasks: Tasks
    instances: Instances
    now: Callable[[], datetime]
    keys: bool

    async def start(self, principal: Principal, wish: DispatchWish, name: InstanceName) -> Submitted:
        """Returns when the wish is on disk; the same name with the same wish is the same task.

        Raises Invalid for what GitHub would not take, Conflict for a name that stands for something else, Unsupported without a key.
        """
        if not self.keys:
            raise Unsupported(_NO_KEY, code="NO_VAULT_KEY")
        asked = struck.assignment(_assignment(wish, self.tasks.deadline_s))
        _check(wish, principal, name.task)
        if made := await self.tasks.feed.submission(principal.tenant, name.task):
            _check_same(principal, asked, (made.submitted_by, made.assignment))
        command = SubmitTask(
            tenant=principal.tenant,
            at=self.now(),
            task_id=name.task,
            assignment=asked,
            submitted_by=principal.subject,
            aliases=name.aliases,
            trace_id=named(None, name.task),
        )
        return await self.tasks.put(command)

    async def runs(self, principal: Principal, repo: str, limit: int) -> DispatchPage:
        """The newest first."""
        return await self._listed(principal, ListDispatches(repo=repo, limit=limit, tenant=principal.tenant, at=self.now()))

    async def of(self, principal: Principal, name: InstanceName) -> DispatchView | None:
        """The dispatch of one instance; None for one that nobody dispatched. Raises NotFound."""
        query = ListDispatches(repo="", limit=1, task_id=name.task, tenant=principal.tenant, at=self.now())
        for found in (await self._listed(principal, query)).dispatches:
            return found
        await self.instances.view(principal, name, 0)
        return None

    async def ran(self, principal: Principal, name: InstanceName, repo: str, run: WorkflowRun) -> None:
        """The workflow of an instance says which run it is. Raises NotFound, Denied for another's, Conflict for one not its own."""
        with by_name(principal, name.task):
            await self.instances.beat(principal, name)
            command = ReportWorkflowRun(tenant=principal.tenant, at=self.now(), task_id=name.task, repo=repo, run=run, how=SeenBy.TOLD)
            try:
                await self.tasks.commands.send(SERVICE, name.task, command)
            except NotFound as error:  # the instance is there, and this is no run of it
                raise Conflict(error.message, code=error.code) from None

    async def _listed(self, principal: Principal, query: ListDispatches) -> DispatchPage:
        asked = query.model_copy(update={"seen_by": None if sees_all(principal) else principal.subject})
        return DispatchPage.model_validate((await self.tasks.commands.send(SERVICE, NO_ID, asked)).body)


def _assignment(wish: DispatchWish, deadline_s: float) -> Assignment:
    return Assignment(
        executor=Executor.GITHUB_WORKFLOW, repo=wish.place, prompt=wish.prompt, branch=wish.branch, surface=SURFACE, pool=POOL,
        source=SURFACE, workflow=wish.workflow, deadline_s=deadline_s,
    )  # fmt: skip


def _check(wish: DispatchWish, principal: Principal, task: TaskId) -> None:
    """Raises Invalid."""
    if not (_OWNER.fullmatch(wish.owner) and _REPO.fullmatch(wish.repo)):
        raise Invalid("owner and repo must be the names of a repository at GitHub", code="INVALID_REPO")
    if not _BRANCH.fullmatch(wish.branch):
        raise Invalid("branch_name must be the name of a branch, as git takes them", code="BRANCH_INVALID")
    payload = {
        "agent_instance_id": wire_id(task), "prompt": wish.prompt, "omnara_api_key": "k" * (KEY + len(principal.tenant)),
        "branch_name": wish.branch, "agent_type": wish.workflow.agent_type,
    }  # fmt: skip
    if payload_size(payload) > MOST_PAYLOAD:
        message = f"the prompt is too long: GitHub takes {MOST_PAYLOAD} bytes of payload, written as JSON, and this makes more"
        raise Invalid(message, code="DISPATCH_TOO_LARGE")


def _check_same(principal: Principal, asked: Assignment, made: tuple[str, Assignment]) -> None:
    """Raises Conflict."""
    by, was = made
    if by != principal.subject or (was.repo, was.prompt, was.branch, was.workflow) != (
        asked.repo,
        asked.prompt,
        asked.branch,
        asked.workflow,
    ):
        raise Conflict("an instance of this id is there already, and it is another", code="INSTANCE_EXISTS")
