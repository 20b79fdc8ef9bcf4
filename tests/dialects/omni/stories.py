"""Facts of jobs on the omni surface, as the services would write them."""

from __future__ import annotations

from datetime import timedelta

from tests.dialects.world import BEGAN, World
from trunkline.contracts.forge import PullRequestEnded
from trunkline.contracts.message import Fact
from trunkline.contracts.run import AgentEnded, AgentOutput, AgentStarted, Phase, PhaseBegan, Said
from trunkline.contracts.task import Assignment, TaskFailed, TaskStarted, TaskSubmitted, TaskSucceeded, Visibility
from trunkline_gateway.dialects.omni.names import JOB_LABEL, SANDBOX_LABEL, SURFACE, TASK_LABEL, job_alias, task_alias

TASK = "0194589f6d00700080000000000000aa"
JOB = "job_1736676000000_x7k2"
CALLERS = "6b2f8e04-4f60-4a35-a8bb-54c3ff0cf0f3"
SANDBOX = "sbx-0194589f6d0070008000000000000001"


def submitted(task_id: str = CALLERS, job_id: str = JOB, visibility: Visibility = Visibility.PRIVATE, surface: str = SURFACE) -> Fact:
    labels = {TASK_LABEL: task_id, JOB_LABEL: job_id, SANDBOX_LABEL: SANDBOX}
    assignment = Assignment(prompt="what is in it?", type="knowledge", surface=surface, labels=labels, visibility=visibility)
    return TaskSubmitted(
        assignment=assignment, submitted_by="ann", deadline_at=BEGAN + timedelta(hours=1), aliases=(job_alias(job_id), task_alias(task_id))
    )  # fmt: skip


def started() -> tuple[Fact, ...]:
    return (TaskStarted(attempt=1),)


def preflight() -> tuple[Fact, ...]:
    said = ("Claude CLI 1.0.80 is there", "The key is there", "The model can be reached")
    return tuple(PhaseBegan(phase=Phase.AGENT, message=message) for message in said)


def answered(text: str = "It is about trees.") -> tuple[Fact, ...]:
    return (AgentStarted(agent="claude"), AgentOutput(attempt=1, line=1, kind=Said.MESSAGE, display=text[:40], text=text), AgentEnded())


def merged() -> Fact:
    return PullRequestEnded(repo="acme/shop", number=1, merged=True, by="ann")


async def runs_well(world: World, task: str = TASK) -> None:
    await world.say(task, *started())
    await world.say(task, *preflight())
    await world.say(task, *answered())
    await world.say(task, TaskSucceeded())


async def runs_ill(world: World, task: str = TASK, code: str = "AGENT_FAILED") -> None:
    await world.say(task, *started())
    await world.say(task, TaskFailed(code=code, error="The agent ended with status 1."))
