"""What an approval is and what may happen to it: asked once, decided once, for the exact act that was asked about."""

from __future__ import annotations

from typing import assert_never

from trunkline.contracts.approval import DecideApproval
from trunkline.contracts.errors import NotFound
from trunkline.contracts.message import Fact
from trunkline_approvals.model.asking import ask, expiry
from trunkline_approvals.model.cues import Answered, Ask, Cue, ExpireApproval, TimeUp, Withdraw, place, timer_id
from trunkline_approvals.model.deciding import answer
from trunkline_approvals.model.ending import forestall, next_wake, time_up, withdraw
from trunkline_approvals.model.holding import still_held
from trunkline_approvals.model.questions import Question, answered, open_questions, question, said
from trunkline_approvals.model.rules import Match, Rule, choose
from trunkline_approvals.model.state import Approval, Forestalled, State, evolve, standing
from trunkline_approvals.model.wanting import unsettled, wish

__all__ = [
    "Answered",
    "Approval",
    "Ask",
    "Cue",
    "ExpireApproval",
    "Forestalled",
    "Match",
    "Question",
    "Rule",
    "State",
    "TimeUp",
    "Withdraw",
    "choose",
    "decide",
    "evolve",
    "expiry",
    "next_wake",
    "open_questions",
    "place",
    "question",
    "said",
    "standing",
    "still_held",
    "timer_id",
    "unsettled",
    "wish",
]


def decide(state: State | None, cue: Cue) -> tuple[Fact, ...]:
    """The facts that follow from a cue; none when it changes nothing. Raises Conflict, Denied, Invalid, NotFound."""
    match cue:
        case Ask():
            return ask(state, cue)
        case DecideApproval():
            return answer(_asked(state, cue.approval_id), cue)
        case TimeUp():
            return time_up(_asked(state, cue.wake.approval_id), cue)
        case Withdraw():
            return withdraw(state, cue) if isinstance(state, Approval) else forestall(state, cue)
        case Answered():
            return answered(state, cue)
        case never:
            assert_never(never)


def _asked(state: State | None, approval_id: str) -> Approval:
    if isinstance(state, Approval):
        return state
    raise NotFound("there is no approval by that id on this task", code="APPROVAL_NOT_FOUND", approval_id=approval_id)
