"""The steps of a run: each is one effect that may be repeated, and the facts that say it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from trunkline.bus import BusAway, Raced
from trunkline.contracts.errors import DomainError, Unsupported
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    BranchPushed,
    ChangesCommitted,
    Phase,
    PhaseBegan,
    PullRequestOpened,
    RepositoryCloned,
    RunFailed,
    SandboxReady,
    Usage,
)
from trunkline.contracts.task import Onward, Origin
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers import named_ending
from trunkline_sandbox.handlers.clear_out import OutgoingDoor
from trunkline_sandbox.handlers.entrust import Entrust
from trunkline_sandbox.handlers.go_on import GoOn
from trunkline_sandbox.handlers.named_steps import NamedSteps
from trunkline_sandbox.handlers.sit import Sit
from trunkline_sandbox.handlers.wake import Wake
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import Job, World, launch_key
from trunkline_sandbox.model import Run, Step, succeeded
from trunkline_sandbox.model.budget import BudgetLimits
from trunkline_sandbox.model.rules import supervised
from trunkline_sandbox.naming import Footnote, commit_message, cost, pull_request_body, title, went_on
from trunkline_sandbox.ports import CommitSpec, PullRequestSpec, SandboxSpec

AUTHOR = "Trunkline <trunkline@localhost>"
WALL_MARGIN_S = 30.0
"""The router ends a task at its deadline; the sandbox does, should the router be away."""
PEOPLE_S: Final = 7 * 86400.0
"""How much longer a program may stay that people are asked about: the sandbox's clock goes on meanwhile."""
KEPT_WITHIN_S: Final = 8.0
"""Seconds for the last snapshot of what is stopped: the router waits 20 for the word that it is."""
NOTHING_CHANGED = "the agent ended without changing anything, so there is nothing to open a pull request for; ask more precisely"

log = structlog.get_logger()
Effect = Callable[[Job, Run], Awaitable[list[Fact]]]


class Steps:
    """Carries out one step at a time."""

    def __init__(self, world: World, wires: Wires, wake: Wake, entrust: Entrust) -> None:
        self._world = world
        self._entrust = entrust
        self._wires = wires
        self._go_on = GoOn(world)
        self._sit = sit = Sit(world, wires, wake)
        self._named = named = NamedSteps(world, wires)
        self._effects: dict[Step, Effect] = {
            Step.MAKE_SANDBOX: self._make_sandbox,
            Step.CLONE: self._clone,
            Step.START_AGENT: sit.start,
            Step.WATCH_AGENT: sit.watch,
            Step.COMMIT: self._commit,
            Step.JUDGE: OutgoingDoor(wires, wake, self._bare),
            Step.PUSH: self._push,
            Step.OPEN_PULL_REQUEST: self._open_pull_request,
            Step.CHECK: named.check,
            Step.CONCLUDE: named.conclude,
        }

    async def perform(self, step: Step, job: Job, run: Run) -> list[Fact]:
        """Do the step and return the facts that say so."""
        job, effect = await self._entrust(job), self._effects[step]
        if not job.named:
            return await effect(job, run)
        if step is Step.MAKE_SANDBOX:
            self._refuse_early(job)
        return await self._named.within(step, job, run, effect)

    async def show(self, job: Job, state: str, told: str) -> None:
        """On the commit that was pushed, where the forge has such a thing; what fails of it does not matter."""
        commit = job.run.committed.commit if job.run.committed else ""
        with suppress(DomainError):
            job = await self._entrust(job)
            await self._world.forge.tell_status(job.access, commit, state, f"{told} {self._world.timeline(job.item)}".strip())

    async def stop(self, step: Step, job: Job) -> list[Fact]:
        """End whatever runs of it; what is kept of an agent that was in the middle of its work, if that is quick."""
        await (named_ending.end(self._world, job) if job.named else self.halt(job.sandbox_id))
        if step not in (Step.START_AGENT, Step.WATCH_AGENT):
            return []
        try:
            async with asyncio.timeout(KEPT_WITHIN_S):
                return await self._sit.last(job)
        except (BusAway, Raced):
            raise
        except Exception as error:  # a stop is a stop, whatever can be kept of it
            log.warning("snapshot.last_not_kept", error=f"{type(error).__name__}: {error}")
            return []

    async def halt(self, id: SandboxId) -> None:
        """End whatever runs in the sandbox."""
        await self._world.provider.stop(id)

    async def clear(self, id: SandboxId, sittings: int = 1) -> None:
        """Leave nothing behind of an attempt that had so many sittings."""
        for sitting in range(1, sittings + 1):
            self._world.forget(launch_key(id, sitting))
        if self._world.keep:
            await self._world.keep.put_away(id)
        await self._world.git.discard(self._world.folder / id)
        await self._world.provider.remove(id)  # last: what a crash leaves before is found by the sandbox and removed again

    async def forget(self, task: str, run: Run) -> None:
        """What a run that is over left in a sandbox that stays; what resists goes with that sandbox."""
        try:
            await self._named.forget(task, run)
        except DomainError as error:
            log.info("named.not_forgotten", task=task, error=error.code)

    async def sweep(self) -> None:
        """Drop what nobody may go on from any more."""
        if self._world.keep:
            await self._world.keep.sweep()

    def _bare(self, job: Job) -> Path:
        return self._world.folder / job.sandbox_id / "clean.git"

    async def _make_sandbox(self, job: Job, _: Run) -> list[Fact]:
        faultpoint("sandbox_made.before_effect")
        self._refuse_early(job)
        labels = {"tenant": job.item.tenant, "task": job.item.task, "attempt": str(job.item.attempt)}
        limits = replace(self._world.limits, wall=self._wall(job))
        sandbox = await self._world.provider.ensure(SandboxSpec(job.sandbox_id, limits, labels, self._world.egress))
        faultpoint("sandbox_made.after_effect")
        ready = SandboxReady(sandbox_id=sandbox.id, provider=sandbox.provider, isolation=sandbox.isolation)
        return [ready, PhaseBegan(phase=Phase.CLONE, message="Cloning repository...")]

    def _refuse_early(self, job: Job) -> None:
        """Before anything is made: a model door that is a unix socket of this machine is reached from here alone. Raises Unsupported."""
        agent, provider = self._world.agent(job.assignment), self._world.provider
        door = self._world.doors.get(agent.name)
        if door and not (provider.ability.unix_sockets or door.afar):
            raise Unsupported(
                f"The agent {agent.name} reaches its model by a unix socket, which sandboxes of {provider.name} cannot have; "
                "set TRUNKLINE_MODEL_DOOR_URL, or choose the agent `command`, or TRUNKLINE_SANDBOX=local.",
                code="PROVIDER_CANNOT_UNIX_SOCKETS",
            )

    def _wall(self, job: Job) -> float:
        waits = supervised(self._world.rules, job.assignment.tool_rules) or job.budget(self._world.budget) != BudgetLimits()
        return job.assignment.deadline_s + WALL_MARGIN_S + (PEOPLE_S if waits else 0.0)

    async def _clone(self, job: Job, _: Run) -> list[Fact]:
        agent = self._world.agent(job.assignment)
        faultpoint("cloned.before_effect")
        await self._sit.start_ahead(job)
        branch = await self._branch(job)
        origin = job.assignment.origin
        base = await self._go_on.clone(job, origin, self._bare(job)) if origin else await self._fetched(job, branch)
        faultpoint("cloned.after_effect")
        cloned = RepositoryCloned(branch=branch, commit=base)
        return [cloned, PhaseBegan(phase=Phase.AGENT, message=f"Running {agent.name}...")]

    async def _branch(self, job: Job) -> str:
        about = job.assignment
        return await self._world.forge.branch_for(job.access, about.pull_request) if about.pull_request else about.branch

    async def _fetched(self, job: Job, branch: str) -> str:
        async with self._world.forge.remote(job.access) as remote:
            base = await self._world.git.fetch(remote, branch, self._bare(job))
        tree = self._bare(job).with_name("tree")
        await self._world.git.checkout(self._bare(job), base, tree)
        await self._world.provider.give(job.sandbox_id, tree)
        return base

    async def _commit(self, job: Job, run: Run) -> list[Fact]:
        assert run.cloned and run.agent_ended
        faultpoint("committed.before_effect")
        tree = await self._world.provider.take(job.sandbox_id)
        # The time is that of the first claim, so that whoever commits, and however often, makes the same commit.
        spec = CommitSpec(
            job.branch,
            commit_message(self._world.struck(job, job.assignment.prompt), job.item.task),
            AUTHOR,
            int(run.began_at.timestamp()),
        )
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
        return [committed]

    async def _push(self, job: Job, run: Run) -> list[Fact]:
        assert run.committed
        faultpoint("pushed.before_effect")
        expected = job.assignment.origin.pushed if job.assignment.origin else ""
        async with self._world.forge.remote(job.access) as remote:
            await self._world.git.push(self._bare(job), remote, run.committed.commit, run.committed.branch, expected)
        faultpoint("pushed.after_effect")
        pushed = BranchPushed(branch=run.committed.branch, commit=run.committed.commit)
        return [pushed, PhaseBegan(phase=Phase.PR, message="Creating pull request...")]

    async def _open_pull_request(self, job: Job, run: Run) -> list[Fact]:
        faultpoint("pull_request_opened.before_effect")
        usage = await self._wires.spent(job)
        opened = await self._world.forge.open_pull_request(job.access, self._pull_request(job, run, usage))
        faultpoint("pull_request_opened.after_effect")
        return succeeded(run, PullRequestOpened(number=opened.number, url=opened.url), self._world.now(), usage)

    def _pull_request(self, job: Job, run: Run, usage: Usage) -> PullRequestSpec:
        assert run.cloned and run.committed and run.agent_ended and run.agent
        asked, url = job.assignment, self._world.timeline(job.item)
        prompt = self._world.struck(job, asked.prompt)
        foot = Footnote(usage, url, *_before(asked.origin))
        body = pull_request_body(prompt, job.item.task, run.agent.agent, run.agent_ended.summary, foot)
        return PullRequestSpec(
            repo=asked.repo,
            base=run.cloned.branch,
            head=run.committed.branch,
            title=title(prompt),
            body=body,
            commit=run.committed.commit,
            task=job.item.task,
            note=went_on(job.item.task, run.agent.agent, foot),
            url=url,
            cost=cost(usage),
        )


def _before(origin: Origin | None) -> tuple[tuple[str, ...], str]:
    """The tasks whose work is on the branch too, and the one that was forked."""
    if origin is None:
        return (), ""
    return ((), origin.task) if origin.onward is Onward.FORK else ((*origin.earlier, origin.task), "")
