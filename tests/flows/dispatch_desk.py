"""A desk for tests of dispatching: tasks by hand on a real nats-server, a fake GitHub, and a relay between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.dispatch import ReportWorkflowRun, SeenBy, Workflow, WorkflowRun
from trunkline.contracts.ids import TaskId, TenantId, wire_id
from trunkline.contracts.instance import InstanceMoved, InstanceStatus
from trunkline.contracts.message import Accepted, Fact
from trunkline.contracts.record import Record
from trunkline.contracts.task import Assignment, Executor, TaskAssigned, TaskSubmitted
from trunkline.testing.fake_github import FakeGitHub, fake_github
from trunkline.testing.nats import NatsServer
from trunkline_relay.model.dispatch_trying import Pauses
from trunkline_relay.settings import Settings

F = TypeVar("F", bound=Fact)
ACME = TenantId("acme")
KEY = "a key of thirty-two characters, or more"
WITHIN = 20.0
REPOS = tuple(f"acme/r{number}" for number in range(60))
QUICK = Pauses((0.05, 0.05, 0.05, 0.05, 0.05), 0.1, 0.3, (0.1,), 0.3, 0.0, 0.01, 0.7, 0.5)
"""As the real ones, and shorter."""


class Desk:
    """One tenant; every test takes a repository of its own."""

    def __init__(self, bus: Bus, github: FakeGitHub, token: str) -> None:
        self.bus = bus
        self.github = github
        self.token = token
        self._ends: dict[str, int] = {}
        self._free = list(REPOS)

    def repo(self) -> str:
        return self._free.pop()

    async def assigned(self, repo: str, *more: Fact, prompt: str = "mend it", workflow: Workflow | None = None) -> TaskId:
        """A task for a workflow in that repository, which may begin."""
        task, now = TaskId(uuid4().hex), datetime.now(UTC)
        asked = Assignment(
            prompt=prompt, source="omnara", repo=repo, executor=Executor.GITHUB_WORKFLOW, surface="omnara", workflow=workflow
        )
        told = TaskSubmitted(assignment=asked, submitted_by="ann", deadline_at=now + timedelta(hours=1))
        await self.say(task, told, TaskAssigned(pool="github", attempt=1), *more)
        return task

    async def say(self, task: TaskId, *facts: Fact, part: str = subjects.TASK) -> None:
        subject = subjects.event(ACME, task, part)
        record = Record(at=datetime.now(UTC), facts=facts)
        end = self._ends.get(subject, 0)
        self._ends[subject] = await self.bus.log.append(subject, record, expect=end, id=f"{subject}-{end}")

    async def calls(self, task: TaskId) -> None:
        """Its agent calls for the first time."""
        await self.say(task, InstanceMoved(status=InstanceStatus.ACTIVE, was=InstanceStatus.DISCONNECTED), part=subjects.INSTANCE)

    async def facts(self, task: TaskId) -> list[Fact]:
        loaded = await self.bus.log.load(subjects.event(ACME, task, subjects.DISPATCH))
        return [fact for stored in loaded.records for fact in stored.record.facts]

    async def until(self, task: TaskId, kind: type[F], fits: Callable[[F], bool] = lambda _: True, within: float = WITHIN) -> F:
        """The first such fact, as soon as it is there."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for fact in await self.facts(task):
                        if isinstance(fact, kind) and fits(fact):
                            return fact
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"no {kind.__name__} that fits among {await self.facts(task)}") from None

    async def asked_for(self, run_id: int, times: int) -> None:
        """Returns when GitHub was asked for that run so often."""
        async with asyncio.timeout(WITHIN):
            while True:
                if len([seen for seen in self.github.steps("run") if seen.path.endswith(f"/{run_id}")]) >= times:
                    return
                await asyncio.sleep(0.02)

    def run_of(self, task: TaskId) -> int:
        return next(sent.run_id for sent in self.github.actions.sent if sent.payload["agent_instance_id"] == wire_id(task))

    async def report(self, task: str, repo: str, run: dict[str, Any], how: SeenBy = SeenBy.WEBHOOK) -> Accepted:
        told = WorkflowRun(
            run_id=run["id"],
            run_attempt=run["run_attempt"],
            url=run["html_url"],
            status=run["status"],
            conclusion=run["conclusion"] or "",
            title=run["display_title"],
        )
        wish = ReportWorkflowRun(tenant=ACME, at=datetime.now(UTC), task_id=task, repo=repo, run=told, how=how)
        return await self.bus.commands.send("relay", task, wish)

    def sent(self, repo: str) -> list[Any]:
        """Bodies of the dispatches that came to GitHub, whatever it said."""
        return [seen.body for seen in self.github.steps("dispatch") if f"/repos/{repo}/" in seen.path]


@asynccontextmanager
async def desk(server: NatsServer, folder: Path) -> AsyncIterator[Desk]:
    """Without a relay."""
    for repo in REPOS:
        (folder / f"{repo}.git").mkdir(parents=True)
    async with fake_github(folder) as github, connect(BusSettings(nats_url=server.url), "test") as bus:
        yield Desk(bus, github, github.user_token(*REPOS))


def settings(server: NatsServer, here: Desk, **more: Any) -> Settings:
    known = {"nats_url": server.url, "vault_key": KEY, "github_api_url": here.github.api_url, "github_token": here.token}
    return Settings.model_validate({**known, **more})
