"""A budget that is used up: people are asked whether more may be spent, and the run goes on with more or ends."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue

from trunkline.contracts.approval import ApprovalDecided, DecidedBy, Verdict
from trunkline.contracts.calls import digest_of
from trunkline.contracts.message import Fact
from trunkline.contracts.run import ApprovalDropped, ApprovalWanted, BudgetRaised, RunFailed
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.sitting import Sitting
from trunkline_sandbox.handlers.till import day_of
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model import Run, bracket
from trunkline_sandbox.model.asking import Decision
from trunkline_sandbox.model.budget import BudgetScope, UsedUp, dollars
from trunkline_sandbox.model.questions import outlived

BUDGET = "budget"
DAY_OVER = "the day is over whose budget was used up"


def open_budget(run: Run) -> ApprovalWanted | None:
    return next((wanted for wanted in run.questions.open if wanted.kind == BUDGET), None)


class SpendMore:
    def __init__(self, sitting: Sitting) -> None:
        self._sitting = sitting

    async def look(self) -> None:
        sitting, wanted = self._sitting, open_budget(self._sitting.run)
        if wanted is None:
            if sitting.till and sitting.till.what:
                await self._ask(sitting.till.what)
            return
        await sitting.listen_for(wanted.approval_id)
        decision = await sitting.wires.decision(sitting.job, wanted.approval_id)
        if decision is not None:
            await self._decided(wanted, decision)
        elif outlived(wanted, day_of(sitting.world.now())):
            await self._outlived(wanted)

    async def _ask(self, what: UsedUp) -> None:
        sitting = self._sitting
        wanted = budget_question(sitting.job, what, sitting.world.now())
        await sitting.listen_for(wanted.approval_id)
        run = sitting.run
        waits = bracket(run.attempt, run.questions.waits, (*run.questions.open, wanted), paused=run.questions.paused)
        faultpoint("asked.before_effect")
        await sitting.append((wanted, *waits), BUDGET)
        faultpoint("asked.after_record")

    async def _outlived(self, wanted: ApprovalWanted) -> None:
        """A new day has a budget of its own."""
        sitting, run = self._sitting, self._sitting.run
        left = tuple(each for each in run.questions.open if each is not wanted)
        dropped = ApprovalDropped(attempt=run.attempt, approval_id=wanted.approval_id, reason=DAY_OVER)
        await sitting.append([dropped, *bracket(run.attempt, run.questions.waits, left, paused=run.questions.paused)], BUDGET)
        if sitting.till:
            sitting.till.begin_day()

    async def _decided(self, wanted: ApprovalWanted, decision: Decision) -> None:
        sitting = self._sitting
        facts = budget_answer(sitting.run, wanted, decision)
        raised = next((fact for fact in facts if isinstance(fact, BudgetRaised)), None)
        if raised is None:
            sitting.end = facts
            await sitting.stop()
            return
        faultpoint("answered.before_effect")
        await sitting.append(facts, BUDGET)
        faultpoint("answered.after_record")
        if sitting.till:
            sitting.till.raise_(raised.usd, BudgetScope(str(wanted.about["scope"])), str(wanted.about.get("day", "")))
        faultpoint("answered.after_effect")


def budget_question(job: Job, what: UsedUp, at: datetime) -> ApprovalWanted:
    """Under a name that this attempt did not use before."""
    run = job.run
    about: dict[str, JsonValue] = {
        "scope": what.scope.value,
        "limit_usd": round(what.limit, 6),
        "spent_usd": round(what.spent, 6),
        "offers": ["usd"],
        **({"day": day_of(at)} if what.scope is BudgetScope.DAY else {}),
    }
    name = f"budget-{run.attempt}-{run.questions.asked + 1}"
    whose = "This task has" if what.scope is BudgetScope.TASK else "Today's tasks have"
    return ApprovalWanted(
        attempt=run.attempt,
        approval_id=name,
        kind=BUDGET,
        subject=f"{whose} spent {dollars(what.spent)} of {dollars(what.limit)} US dollars on models. May it spend as much again?",
        digest=digest_of({"name": name, "scope": what.scope.value, "limit": round(what.limit, 6), "day": day_of(at)}),
        requested_by=job.submitted_by,
        about=about,
    )


def budget_answer(run: Run, wanted: ApprovalWanted, decision: Decision) -> list[Fact]:
    """Either more may be spent, or the run is over."""
    if isinstance(decision, ApprovalDecided) and decision.verdict is Verdict.APPROVED and decision.digest == wanted.digest:
        limit = wanted.about.get("limit_usd")
        again = limit if isinstance(limit, float | int) else 0.0
        usd = decision.allowance.usd if decision.allowance and decision.allowance.usd else float(again)
        left = tuple(each for each in run.questions.open if each.approval_id != wanted.approval_id)
        raised = BudgetRaised(attempt=run.attempt, approval_id=wanted.approval_id, usd=usd, by=decision.by)
        return [raised, *bracket(run.attempt, run.questions.waits, left, paused=run.questions.paused)]
    why = "nobody let it spend more in time"
    if isinstance(decision, ApprovalDecided) and decision.decided_by is not DecidedBy.TIMEOUT:
        why = f"{decision.by} did not let it spend more{f': {decision.reason}' if decision.reason else ''}"
    spent = f"{wanted.about.get('spent_usd')} of {wanted.about.get('limit_usd')} US dollars"
    return [RunFailed(attempt=run.attempt, code="BUDGET", error=f"it spent {spent} on its models, and {why}", recoverable=False)]
