"""The steps of a run: each is one effect that may be repeated, and the facts that say it is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from trunkline.contracts.ids import SandboxId
from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    AgentEnded,
    AgentStarted,
    BranchPushed,
    ChangesCommitted,
    Phase,
    PhaseBegan,
    PullRequestOpened,
    RepositoryCloned,
    RunFailed,
    SandboxReady,
)
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.watch_agent import watch
from trunkline_sandbox.handlers.world import Job, World
from trunkline_sandbox.model import Run, Step, succeeded
from trunkline_sandbox.naming import commit_message, pull_request_body, title
from trunkline_sandbox.ports import AgentTask, CommitSpec, PullRequestSpec, SandboxSpec

AUTHOR = "Trunkline <trunkline@localhost>"
WALL_MARGIN_S = 30.0
"""The router ends a task at its deadline; the sandbox does, should the router be away."""
NOTHING_CHANGED = "the agent ended without changing anything, so there is nothing to open a pull request for; ask more precisely"

Effect = Callable[[Job, Run], Awaitable[list[Fact]]]


class Steps:
    """Carries out one step at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._effects: dict[Step, Effect] = {
            Step.MAKE_SANDBOX: self._make_sandbox,
            Step.CLONE: self._clone,
            Step.START_AGENT: self._start_agent,
            Step.WATCH_AGENT: self._watch_agent,
            Step.COMMIT: self._commit,
            Step.PUSH: self._push,
            Step.OPEN_PULL_REQUEST: self._open_pull_request,
        }

    async def perform(self, step: Step, job: Job, run: Run) -> list[Fact]:
        """Do the step and return the facts that say so."""
        return await self._effects[step](job, run)

    async def halt(self, id: SandboxId) -> None:
        """End whatever runs in the sandbox."""
        await self._world.provider.stop(id)

    async def clear(self, id: SandboxId) -> None:
        """Leave nothing of an attempt behind."""
        self._world.forget(id)
        await self._world.git.discard(self._world.folder / id)
        await self._world.provider.remove(id)  # last: what a crash leaves before is found by the sandbox and removed again

    def _door(self, agent: str, key: str) -> AbstractAsyncContextManager[None]:
        door = self._world.doors.get(agent)
        return door.open(key) if door else nullcontext()

    def _bare(self, job: Job) -> Path:
        return self._world.folder / job.sandbox_id / "clean.git"

    async def _make_sandbox(self, job: Job, _: Run) -> list[Fact]:
        faultpoint("sandbox_made.before_effect")
        labels = {"tenant": job.item.tenant, "task": job.item.task, "attempt": str(job.item.attempt)}
        limits = replace(self._world.limits, wall=job.assignment.deadline_s + WALL_MARGIN_S)
        sandbox = await self._world.provider.ensure(SandboxSpec(job.sandbox_id, limits, labels, self._world.egress))
        faultpoint("sandbox_made.after_effect")
        ready = SandboxReady(sandbox_id=sandbox.id, provider=sandbox.provider, isolation=sandbox.isolation)
        return [ready, PhaseBegan(phase=Phase.CLONE, message="Cloning repository...")]

    async def _clone(self, job: Job, _: Run) -> list[Fact]:
        agent = self._world.agent(job.assignment)
        faultpoint("cloned.before_effect")
        remote = await self._world.forge.remote(job.assignment.repo)
        base = await self._world.git.fetch(remote, job.assignment.branch, self._bare(job))
        tree = self._bare(job).with_name("tree")
        await self._world.git.checkout(self._bare(job), base, tree)
        await self._world.provider.give(job.sandbox_id, tree)
        faultpoint("cloned.after_effect")
        cloned = RepositoryCloned(branch=job.assignment.branch, commit=base)
        return [cloned, PhaseBegan(phase=Phase.AGENT, message=f"Running {agent.name}...")]

    async def _start_agent(self, job: Job, _: Run) -> list[Fact]:
        agent = self._world.agent(job.assignment)
        launch = agent.launch(AgentTask(job.assignment.prompt), job.sandbox_id)
        faultpoint("agent_running.before_effect")
        async with self._door(agent.name, job.sandbox_id):  # one that cannot be opened is told before anything runs
            await self._world.provider.start(job.sandbox_id, launch)
        faultpoint("agent_running.after_effect")
        return [AgentStarted(agent=agent.name)]

    async def _watch_agent(self, job: Job, run: Run) -> list[Fact]:
        agent = self._world.agent(job.assignment)
        async with self._door(agent.name, job.sandbox_id):
            ending = await watch(agent, self._world.provider.output(job.sandbox_id, job.sandbox_id), job.log)
        await self.halt(job.sandbox_id)
        if ending.ok:
            return [AgentEnded(summary=ending.summary, usage=ending.usage, caveat=ending.error)]
        return [RunFailed(attempt=run.attempt, code=ending.code, error=ending.error, recoverable=ending.recoverable)]

    async def _commit(self, job: Job, run: Run) -> list[Fact]:
        assert run.cloned and run.agent_ended
        faultpoint("committed.before_effect")
        tree = await self._world.provider.take(job.sandbox_id)
        # The time is that of the first claim, so that whoever commits, and however often, makes the same commit.
        spec = CommitSpec(job.branch, commit_message(job.assignment.prompt, job.item.task), AUTHOR, int(run.began_at.timestamp()))
        commit = await self._world.git.commit(self._bare(job), run.cloned.commit, tree, spec)
        faultpoint("committed.after_effect")
        if commit is None:
            why = run.agent_ended.caveat or NOTHING_CHANGED
            return [RunFailed(attempt=run.attempt, code="NO_CHANGES", error=why, recoverable=False)]
        committed = ChangesCommitted(
            branch=job.branch,
            commit=commit.sha,
            files_changed=commit.files_changed,
            additions=commit.additions,
            deletions=commit.deletions,
        )
        return [committed, PhaseBegan(phase=Phase.PUSH, message=f"Pushing {job.branch}...")]

    async def _push(self, job: Job, run: Run) -> list[Fact]:
        assert run.committed
        faultpoint("pushed.before_effect")
        remote = await self._world.forge.remote(job.assignment.repo)
        await self._world.git.push(self._bare(job), remote, run.committed.commit, run.committed.branch)
        faultpoint("pushed.after_effect")
        pushed = BranchPushed(branch=run.committed.branch, commit=run.committed.commit)
        return [pushed, PhaseBegan(phase=Phase.PR, message="Creating pull request...")]

    async def _open_pull_request(self, job: Job, run: Run) -> list[Fact]:
        assert run.committed and run.agent_ended and run.agent
        faultpoint("pull_request_opened.before_effect")
        prompt = job.assignment.prompt
        body = pull_request_body(prompt, job.item.task, run.agent.agent, run.agent_ended.summary)
        spec = PullRequestSpec(job.assignment.repo, job.assignment.branch, run.committed.branch, title(prompt), body, run.committed.commit)
        opened = await self._world.forge.open_pull_request(spec)
        faultpoint("pull_request_opened.after_effect")
        return succeeded(run, PullRequestOpened(number=opened.number, url=opened.url), self._world.now())
