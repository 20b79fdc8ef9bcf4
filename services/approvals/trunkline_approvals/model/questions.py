"""What agents elsewhere ask people, as the facts of their instances tell: how it is asked, what is open, and what an answer decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.contracts.approval import ApprovalDecided, ApprovalWithdrawn, DecidedBy, RequestApproval, Verdict
from trunkline.contracts.calls import Allowance, digest_of
from trunkline.contracts.instance import INPUT, InstanceAsked, InstanceSaid, InstanceTold, instance_subject, question_id
from trunkline.contracts.message import Fact
from trunkline_approvals.model.allowing import ANSWER, MOST_ANSWER
from trunkline_approvals.model.cues import Answered
from trunkline_approvals.model.state import Approval, State

SURFACE: Final = "omnara"
MOST_SUBJECT: Final = 500
MOST_QUESTION: Final = 8000
"""Characters that people are shown; the conversation has all of them."""
NO_WORDS: Final = "The agent wants input, and says nothing more."
TOO_EARLY: Final = "it was answered before anybody was asked"


@dataclass(frozen=True, slots=True)
class Question:
    """A message of an agent that wants an answer."""

    task: str
    message: str
    text: str


def question(question: Question, tenant: str, now: datetime) -> RequestApproval:
    """How it is asked: by the instance itself, so that whoever submitted its task may answer."""
    text = question.text.strip()
    return RequestApproval(
        tenant=tenant,
        at=now,
        approval_id=question_id(question.message),
        task_id=question.task,
        kind=INPUT,
        subject=_cut(" ".join(text.split()), MOST_SUBJECT) or NO_WORDS,
        digest=digest_of({"v": 1, "question": question.text, "message": question.message}),
        requested_by=instance_subject(question.task),
        about={"question": _cut(text, MOST_QUESTION), "instance": question.task, "surface": SURFACE, "offers": [ANSWER]},
    )


def open_questions(facts: Iterable[Fact]) -> tuple[str, ...]:
    """The messages whose questions nobody answered, and which the agent did not give up."""
    found: dict[str, None] = {}
    for fact in facts:
        match fact:
            case InstanceSaid():
                found.pop(fact.closes, None)
                if fact.asks:
                    found[fact.message_id] = None
            case InstanceAsked():
                found.pop(fact.closes, None)
                if not fact.gave:
                    found[fact.message_id] = None
            case InstanceTold():
                found.pop(fact.answers, None)
            case _:
                pass
    return tuple(found)


def said(facts: Iterable[Fact], message: str) -> str:
    """What the agent said by that message; no text where it said none."""
    return next((fact.text for fact in facts if isinstance(fact, InstanceSaid) and fact.message_id == message), "")


def answered(state: State | None, cue: Answered) -> tuple[Fact, ...]:
    """The agent has its answer, whatever the rules would have made of it: nobody else has to give one."""
    if state is None:
        return (ApprovalWithdrawn(approval_id=cue.approval_id, reason=TOO_EARLY),)
    if not isinstance(state, Approval) or state.end:
        return ()
    decided = ApprovalDecided(
        approval_id=cue.approval_id,
        verdict=Verdict.APPROVED,
        decided_by=DecidedBy.HUMAN,
        by=cue.by,
        digest=state.asked.digest,
        allowance=Allowance(answer=cue.text[:MOST_ANSWER]),
    )
    return (decided,)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
