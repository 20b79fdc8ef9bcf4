"""An agent's program is started, or found again, and attended to the end of its sitting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Protocol, runtime_checkable

from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalDecided
from trunkline.contracts.errors import DomainError, Unsupported
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.message import Fact
from trunkline.contracts.run import AgentStarted
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.attend import Attend
from trunkline_sandbox.handlers.go_on import GoOn, first_task
from trunkline_sandbox.handlers.keep_snapshot import Scene, kept
from trunkline_sandbox.handlers.settle import settled
from trunkline_sandbox.handlers.sitting import GO_ON, Sitting
from trunkline_sandbox.handlers.wake import Wake
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import Job, World
from trunkline_sandbox.model import AgentTask, Late, Run, Talk
from trunkline_sandbox.model.again import has, meanwhile
from trunkline_sandbox.model.asking import told_later
from trunkline_sandbox.model.rules import asked_always, supervised
from trunkline_sandbox.ports import Agent, Launch, Line

CANNOT_ASK = "rules here ask about calls or deny them, and this agent cannot be asked; take one that can, or change TRUNKLINE_TOOL_RULES"
PUT_ASIDE = (
    "You were put aside while people were waited for; your files are as you left them. "
    "What of your calls was ended by that is told above as rejected or aborted: nobody refused it. "
    "Make again what you still need, but for what is named here."
)
A_MESSAGE = "Somebody has a message for you: it comes next."


@runtime_checkable
class Foresighted(Protocol):
    """A provider that can do most of a start before the workspace is there."""

    async def start_ahead(self, id: SandboxId, launch: Launch) -> None:
        """Begin with it and return; the start itself makes up for what does not come of it."""
        ...


class Sit:
    def __init__(self, world: World, wires: Wires, wake: Wake) -> None:
        self._world = world
        self._wires = wires
        self._wake = wake
        self._go_on = GoOn(world)

    async def start(self, job: Job, run: Run) -> list[Fact]:
        """Start the program and attend it; what ended the sitting."""
        agent = self._world.agent(job.assignment)
        if self._supervised(job) and not agent.skill.ask:
            raise Unsupported(CANNOT_ASK, code="AGENT_CANNOT_ASK")
        if run.sitting > 1 and (ended := await settled(job, self._wires, self._world.now())):
            return ended
        task = await self._task(job, agent)
        faultpoint("agent_running.before_effect")
        async with self._seated(job, agent, task) as sitting:  # a door that cannot be opened is told before anything runs
            launch = await self._go_on.launched(job.assignment.origin, task, agent.launch(task, sitting.key))
            await self._world.provider.start(job.sandbox_id, job.dressed(launch))
            faultpoint("agent_running.after_effect")
            began = AgentStarted(agent=agent.name, sitting=sitting.number, session=sitting.talk.session)
            await job.log.append([began], "start_agent")
            faultpoint("agent_running.after_record")
            # Started by somebody who died, it may have been told something already; nobody but its journal knows.
            return await Attend(sitting, self._wake)(anew=run.claims == 0)

    async def start_ahead(self, job: Job) -> None:
        """Begin with what the start of the program needs beside its workspace; nothing of the program runs before `start`."""
        provider, agent, key = self._world.provider, self._world.agent(job.assignment), job.key(job.run.sitting)
        if job.named or not isinstance(provider, Foresighted):
            return
        with suppress(DomainError):  # `start` tells it, if it still is so then
            launch = agent.launch(await self._task(job, agent), key)
            if door := self._world.doors.get(agent.name):
                door.place(key)
            await provider.start_ahead(job.sandbox_id, job.dressed(launch))

    async def watch(self, job: Job, run: Run) -> list[Fact]:
        """Attend a program that runs, or did."""
        agent = self._world.agent(job.assignment)
        task = await self._task(job, agent)
        async with self._seated(job, agent, task) as sitting:
            sitting.frozen = None
            return await Attend(sitting, self._wake)(anew=False)

    async def last(self, job: Job) -> list[Fact]:
        """What is kept of an agent that was stopped where it stood; nothing of it runs any more."""
        agent, keep = self._world.agent(job.assignment), self._world.keep
        if keep is None or job.run.cloned is None or job.run.agent is None:
            return []
        talk, line = await self._heard(job, agent.opening(await self._task(job, agent), job.key(job.run.sitting)), agent)
        return await kept(keep, Scene(job, agent, talk, line, last=True), int(self._world.now().timestamp()))

    @asynccontextmanager
    async def _seated(self, job: Job, agent: Agent, task: AgentTask) -> AsyncIterator[Sitting]:
        key = job.key(job.run.sitting)
        async with AsyncExitStack() as stack:
            bell = await stack.enter_async_context(self._wires.bell(job, subjects.INBOX))
            sitting = Sitting(self._world, self._wires, job, agent, bell, agent.opening(task, key), frozen=False)
            if door := self._world.doors.get(agent.name):
                sitting.till = await stack.enter_async_context(self._wires.open_till(job))
                await stack.enter_async_context(door.open(key, sitting.till))
            yield sitting

    def _supervised(self, job: Job) -> bool:
        return supervised(self._world.rules, job.assignment.tool_rules)

    def _plain(self, job: Job) -> AgentTask:
        always = asked_always(self._world.rules, job.assignment.tool_rules)
        prompt, model = self._world.struck(job, job.assignment.prompt), job.assignment.model or ""
        return AgentTask(prompt, supervised=self._supervised(job), asked_always=always, model=model)

    async def _task(self, job: Job, agent: Agent) -> AgentTask:
        plain, run = self._plain(job), job.run
        if run.sitting == 1:
            return first_task(plain, job.assignment.origin, agent.skill)
        last = A_MESSAGE if await self._wires.inbox.next(job) else GO_ON
        words = [PUT_ASIDE, *[await self._told(job, late) for late in run.questions.late], *await self._unheard(job, agent), last]
        return replace(plain, prompt="\n".join(words), session=run.session, sitting=run.sitting)

    async def _told(self, job: Job, late: Late) -> str:
        decision = await self._wires.decision(job, late.wanted.approval_id)
        allowance = decision.allowance if isinstance(decision, ApprovalDecided) else None
        about = late.wanted.about
        return told_later(str(about.get("tool")), str(about.get("argument")), late.answered, allowance.input if allowance else None)

    async def _unheard(self, job: Job, agent: Agent) -> list[str]:
        """Messages that were claimed for the last program and that it is not seen to have had."""
        before = job.run.sitting - 1
        taken = await self._wires.inbox.taken(job, before)
        if not taken:
            return []
        talk = await self._said(job, agent, before)
        return [meanwhile(letter.text) for letter in taken if not has(talk, letter.id)]

    async def _said(self, job: Job, agent: Agent, number: int) -> Talk:
        key = job.key(number)
        plain = replace(self._plain(job), sitting=number)
        talk = agent.opening(first_task(plain, job.assignment.origin, agent.skill) if number == 1 else plain, key)
        return (await self._heard(job, talk, agent, number))[0]

    async def _heard(self, job: Job, talk: Talk, agent: Agent, number: int = 0) -> tuple[Talk, int]:
        """The conversation after all that it said in a sitting, if not in another then in this, and the last line of it."""
        line, key = 0, job.key(number or job.run.sitting)
        async for thing in self._world.provider.output(job.sandbox_id, key):
            if isinstance(thing, Line):
                talk, line = agent.hear(thing, talk).talk, thing.number
        return talk, line
