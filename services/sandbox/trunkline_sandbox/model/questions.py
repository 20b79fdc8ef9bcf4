"""What a run asked of people, and what came of it: open questions, answers, and what those answers allow; all pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trunkline.contracts.calls import ToolRule
from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    ApprovalDropped,
    ApprovalWanted,
    BudgetRaised,
    CallAnswered,
    CallVerdict,
    PushJudged,
    RuleGranted,
    RunFailed,
    RunGoesOn,
    RunParked,
    RunWaits,
    Wait,
)


@dataclass(frozen=True, slots=True)
class Late:
    """An answer for a program that was gone when it came: the one that runs now, or comes next, is told in its first message."""

    wanted: ApprovalWanted
    answered: CallAnswered


@dataclass(frozen=True, slots=True)
class Questions:
    """Everything that one attempt asked."""

    open: tuple[ApprovalWanted, ...] = ()
    answered: Mapping[tuple[int, str], CallAnswered] = field(default_factory=dict)
    """By sitting and the agent's own name of the call."""
    late: tuple[Late, ...] = ()
    grants: tuple[CallAnswered, ...] = ()
    """Each allows one call with exactly its digest, for the one that was asked about died with its program."""
    rules: tuple[ToolRule, ...] = ()
    """Granted for this attempt."""
    asked: int = 0
    """How many questions there were."""
    raised: Mapping[str, float] = field(default_factory=dict)
    """By how many US dollars, in all attempts of the task, by the scope of the budget; that of a day with the day behind it."""
    waits: RunWaits | None = None
    """As it stands on the timeline."""

    @property
    def paused(self) -> bool:
        return self.waits is not None and self.waits.why is Wait.PAUSED

    @property
    def raised_days(self) -> Mapping[str, float]:
        """By how many US dollars the budget of a day was raised, by the day (yyyymmdd): a raise holds for no other."""
        return {name.partition("/")[2]: usd for name, usd in self.raised.items() if "/" in name}

    def wanted(self, name: str) -> ApprovalWanted | None:
        return next((each for each in self.open if each.approval_id == name), None)

    def grant(self, digest: str) -> CallAnswered | None:
        return next((each for each in self.grants if each.digest == digest), None)


def heard_of(questions: Questions, fact: Fact, sitting: int) -> Questions:
    """The questions after one more fact; the same object when it says nothing about them. `sitting` is the one that runs or begins."""
    match fact:
        case ApprovalWanted():
            return replace(questions, open=(*questions.open, fact), asked=questions.asked + 1)
        case ApprovalDropped():
            return _without(questions, fact.approval_id)
        case CallAnswered():
            return _answered(questions, fact, sitting)
        case RuleGranted():
            return replace(questions, rules=(*questions.rules, fact.rule))
        case BudgetRaised():
            return _raised(questions, fact)
        case PushJudged(cleared=True):
            return replace(questions, open=())
        case RunWaits():
            return replace(questions, waits=fact)
        case RunGoesOn():
            return replace(questions, waits=None)
        case RunParked():
            return replace(questions, late=())
        case _:
            return questions


def _answered(questions: Questions, fact: CallAnswered, sitting: int) -> Questions:
    wanted = questions.wanted(fact.approval_id)
    questions = _without(questions, fact.approval_id)
    late = questions.late
    grants = tuple(each for each in questions.grants if each.approval_id != fact.approval_id)
    if fact.sitting < sitting and wanted is not None:
        late = (*late, Late(wanted, fact))
        grants = (*grants, fact) if fact.verdict is CallVerdict.ALLOWED else grants
    answered = {**questions.answered, (fact.sitting, fact.call): fact}
    return replace(questions, answered=answered, late=late, grants=grants)


def _raised(questions: Questions, fact: BudgetRaised) -> Questions:
    wanted = questions.wanted(fact.approval_id)
    scope = _budget(wanted) if wanted else ""
    raised = {**questions.raised, scope: questions.raised.get(scope, 0.0) + fact.usd}
    return replace(_without(questions, fact.approval_id), raised=raised)


def _budget(wanted: ApprovalWanted) -> str:
    scope, day = str(wanted.about.get("scope", "")), wanted.about.get("day")
    return f"{scope}/{day}" if day else scope


def outlived(wanted: ApprovalWanted, day: str) -> bool:
    """Whether it asks about the budget of a day that is over: nobody has to decide that any more."""
    return str(wanted.about.get("day") or day) < day


def _without(questions: Questions, name: str) -> Questions:
    return replace(questions, open=tuple(each for each in questions.open if each.approval_id != name))


def bracket(attempt: int, waits: RunWaits | None, open: tuple[ApprovalWanted, ...], *, paused: bool) -> list[Fact]:
    """What the timeline must say so that it waits while, and only while, something is waited for."""
    if not paused and not open:
        return [RunGoesOn(attempt=attempt)] if waits else []
    if waits is not None and (waits.why is Wait.PAUSED) == paused:
        return []
    if paused:
        return [RunWaits(attempt=attempt, why=Wait.PAUSED)]
    return [RunWaits(attempt=attempt, why=wait_of(open[0]), approval_id=open[0].approval_id)]


def wait_of(wanted: ApprovalWanted) -> Wait:
    return Wait(wanted.kind)


def forgotten(attempt: int, why: Wait, seconds: float) -> RunFailed:
    """The end of a run that was waited with for so long."""
    told = f"it waited for {seconds / 86400:.3g} days ({why.value}), and nobody let it go on (TRUNKLINE_PARK_DAYS); submit the task again"
    return RunFailed(attempt=attempt, code="WAITED_TOO_LONG", error=told, recoverable=False)
