"""What GitHub tells of its own accord about workflow runs: passed on to whoever follows those that we started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.contracts.dispatch import SERVICE, ReportWorkflowRun, SeenBy, WorkflowRun
from trunkline.contracts.ids import TaskId
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases.forge_news import tenant_of

NOBODY: Final = TaskId("-")


@dataclass(frozen=True, slots=True)
class WorkflowRunNews:
    """A run stands so. `task` as its title names it; without one it is known by its number, or not at all."""

    repo: str
    run: WorkflowRun
    task: TaskId = NOBODY


@dataclass(frozen=True, slots=True)
class RunNews:
    """`tenants` as in ForgeNews."""

    commands: Commands
    now: Callable[[], datetime]
    tenants: Mapping[str, str]

    async def told(self, news: WorkflowRunNews) -> None:
        """Raises NotFound RUN_NOT_OURS, Denied REPO_NOT_NAMED, Unavailable."""
        command = ReportWorkflowRun(
            tenant=tenant_of(self.tenants, news.repo),
            at=self.now(),
            task_id=news.task,
            repo=news.repo,
            run=news.run,
            how=SeenBy.WEBHOOK,
        )
        await self.commands.send(SERVICE, news.task, command)
