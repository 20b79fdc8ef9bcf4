"""A run that was parked goes on: what was decided meanwhile is recorded before its agent is started again."""

from __future__ import annotations

from datetime import datetime

from trunkline.contracts.message import Fact
from trunkline.contracts.run import ApprovalWanted, RunFailed
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.ask_people import dropped
from trunkline_sandbox.handlers.spend_more import BUDGET, DAY_OVER, budget_answer
from trunkline_sandbox.handlers.till import day_of
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model import bracket
from trunkline_sandbox.model.asking import Asked, Decision, answer
from trunkline_sandbox.model.questions import outlived


async def settled(job: Job, wires: Wires, now: datetime) -> list[Fact]:
    """Record every decision, and that nothing is waited for any more. The facts that end the run, where a decision does."""
    run = job.run
    facts: list[Fact] = []
    left: list[ApprovalWanted] = []
    for wanted in run.questions.open:
        decision = await wires.decision(job, wanted.approval_id)
        said = _said(job, wanted, decision) if decision else _undecided(job, wanted, day_of(now))
        if any(isinstance(fact, RunFailed) for fact in said):
            return said
        facts += said
        left += [wanted] if not said else []
    goes_on = bracket(run.attempt, run.questions.waits, tuple(left), paused=False)
    if facts or goes_on:
        faultpoint("answered.before_effect")
        await job.log.append([*facts, *goes_on], "settle")
        faultpoint("answered.after_record")
    return []


def _undecided(job: Job, wanted: ApprovalWanted, today: str) -> list[Fact]:
    """A call died with its program; should the agent make it again, it is asked again. A budget is waited for while its day lasts."""
    if outlived(wanted, today):
        return dropped(wanted, job.run.sitting - 1, DAY_OVER)
    return [] if wanted.kind == BUDGET else dropped(wanted, job.run.sitting - 1, "the program that asked is gone")


def _said(job: Job, wanted: ApprovalWanted, decision: Decision) -> list[Fact]:
    if wanted.kind == BUDGET:
        alone = budget_answer(job.run, wanted, decision)
        return alone if isinstance(alone[0], RunFailed) else alone[:1]
    return list(answer(Asked(wanted, job.run.sitting - 1), decision).facts)
