"""The steps of a run in a named sandbox, where another run makes one and clones: entered, checked, and left as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, runtime_checkable

from trunkline.contracts.errors import Conflict, DomainError, Invalid, Unsupported
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.message import Fact
from trunkline.contracts.run import AgentChecked, Phase, PhaseBegan, RunFailed, SandboxReady
from trunkline.runtime.alongside import alongside
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.named_ending import Shared, end
from trunkline_sandbox.handlers.named_host import NamedHost, reaches
from trunkline_sandbox.handlers.named_lodging import Lodging
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import Job, World, launch_key, sandbox_id
from trunkline_sandbox.model import AgentTask, Run, Step, concluded
from trunkline_sandbox.model.named import Named
from trunkline_sandbox.model.patience import MENDABLE
from trunkline_sandbox.ports import Agent, Exit, Launch

Effect = Callable[[Job, Run], Awaitable[list[Fact]]]
_AT_WORK: Final = (Step.CHECK, Step.START_AGENT)
"""Steps that start something: the sandbox must be ready for them, whatever happened to it since the step before."""
PROBE_S: Final = 30.0
_LONGEST: Final = 200


@runtime_checkable
class Probed(Protocol):
    """An agent whose program can be asked whether it is there."""

    def probe(self, key: str) -> Launch:
        """A start that ends by itself at once, with 0 if the program is there."""
        ...


class NamedSteps:
    """Every step may be repeated."""

    def __init__(self, world: World, wires: Wires) -> None:
        self._world = world
        self._wires = wires

    async def within(self, step: Step, job: Job, run: Run, effect: Effect) -> list[Fact]:
        """Do the step while the sandbox counts as used. Raises NotFound, Conflict, Unavailable, Exhausted."""
        if step is Step.CONCLUDE:
            return await effect(job, run)
        tenant, sandbox = job.item.tenant, str(job.sandbox_id)
        if step in _AT_WORK:
            await self._lodged(job)
        facts = await alongside(self._done(step, job, run, effect), self._lodging.used(tenant, sandbox))
        failed = next((fact for fact in facts if isinstance(fact, RunFailed) and fact.recoverable), None)
        if failed and (why := await self._lodging.away(tenant, sandbox)):
            # Another attempt would start again what somebody stopped.
            ended = RunFailed(attempt=run.attempt, code="SANDBOX_STOPPED", error=why, recoverable=False)
            return [ended if fact is failed else fact for fact in facts]
        return facts

    async def _done(self, step: Step, job: Job, run: Run, effect: Effect) -> list[Fact]:
        return await (self._enter(job) if step is Step.MAKE_SANDBOX else effect(job, run))

    async def _enter(self, job: Job) -> list[Fact]:
        provider = self._world.provider
        faultpoint("entered.before_effect")
        named = await self._lodged(job)
        faultpoint("entered.after_effect")
        ready = SandboxReady(sandbox_id=job.sandbox_id, provider=provider.name, isolation=named.isolation, named=True)
        return [ready, PhaseBegan(phase=Phase.CHECK, message="Checking the agent, its key and its model...")]

    async def _lodged(self, job: Job) -> Named:
        """Its sandbox, ready, where this service can work in it. Raises NotFound, Conflict, Unavailable, Exhausted."""
        provider, named = self._world.provider, await self._lodging.ready(job.item.tenant, str(job.sandbox_id))
        if named.wanted.provider != provider.name:
            told = f"the sandbox is one of {named.wanted.provider}, and agents run at {provider.name} here; create one there"
            raise Conflict(told, code="SANDBOX_ELSEWHERE")
        if not reaches(provider if isinstance(provider, NamedHost) else None, named.site):
            raise Conflict(f"the sandbox is kept at {named.site}, which this service cannot reach; ask again", code="SANDBOX_ELSEWHERE")
        return named

    async def check(self, job: Job, run: Run) -> list[Fact]:
        """Whether the agent can work there: its program, its key, its model. All in one record, so that it is said once."""
        agent, said, version = self._world.agent(job.assignment), list[Fact](), ""
        faultpoint("checked.before_effect")
        try:
            version = await self._program(job, agent)
            said.append(_found(f"The program of {agent.name} is there{f': {version}' if version else ''}"))
            if door := self._world.doors.get(agent.name):
                door.check()
                said.append(_found("A key for its model is there"))
                await door.reach()
                said.append(_found("Its model can be reached"))
        except DomainError as error:
            recoverable = isinstance(error, MENDABLE)
            return [*said, RunFailed(attempt=run.attempt, code=error.code, error=error.message, recoverable=recoverable)]
        faultpoint("checked.after_effect")
        return [*said, AgentChecked(agent=agent.name, version=version), PhaseBegan(phase=Phase.AGENT, message=f"Running {agent.name}...")]

    async def _program(self, job: Job, agent: Agent) -> str:
        """What it says of itself, where it can be asked. Raises Invalid AGENT_NOT_FOUND, AGENT_NOT_CONFIGURED."""
        agent.launch(AgentTask("?"), key := f"{job.key(1)}.check")
        if not isinstance(agent, Probed):
            return ""
        await self._world.provider.start(job.sandbox_id, agent.probe(key))
        try:
            async with asyncio.timeout(PROBE_S):
                words, ended = await self._answer(job, key)
        except TimeoutError:
            await end(self._world, job, key)
            words, ended = f"it did not end within {PROBE_S:g} s", None
        if ended is None or ended.code != 0:
            told = f"the program of the agent {agent.name} is not in the sandbox, or does not run there ({words or 'it said nothing'})"
            raise Invalid(f"{told}; put it there, or choose another agent", code="AGENT_NOT_FOUND")
        return words

    async def _answer(self, job: Job, key: str) -> tuple[str, Exit | None]:
        """The first line of it, and how it ended."""
        words = ""
        async for heard in self._world.provider.output(job.sandbox_id, key):
            if isinstance(heard, Exit):
                return words, heard
            words = words or self._world.struck(job, heard.data.decode(errors="replace").strip())[:_LONGEST]
        return words, None

    async def conclude(self, job: Job, run: Run) -> list[Fact]:
        faultpoint("concluded.before_effect")
        spent = await self._wires.spent(job)
        faultpoint("concluded.after_effect")
        return concluded(run, self._world.now(), spent)

    async def forget(self, task: str, run: Run) -> None:
        """What was kept of the starts of an attempt that is over."""
        provider = self._world.provider
        if run.sandbox is None or not run.sandbox.named or not isinstance(provider, Shared):
            return
        first = sandbox_id(task, run.attempt)
        for key in (f"{first}.check", *(launch_key(first, sitting) for sitting in range(1, run.sitting + 1))):
            await provider.forget(SandboxId(run.sandbox.sandbox_id), key)

    @property
    def _lodging(self) -> Lodging:
        if self._world.lodging is None:
            raise Unsupported("named sandboxes are not served here", code="NO_NAMED_SANDBOXES")
        return self._world.lodging


def _found(message: str) -> Fact:
    return PhaseBegan(phase=Phase.CHECK, message=message)
