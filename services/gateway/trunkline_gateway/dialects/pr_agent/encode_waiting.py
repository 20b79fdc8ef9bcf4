"""What a run waits for, and what people tell it, as the sentences of status events."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.message import Fact
from trunkline.contracts.run import (
    AgentInterrupted,
    ApprovalDropped,
    ApprovalWanted,
    BudgetRaised,
    CallAnswered,
    CallVerdict,
    PushJudged,
    RuleGranted,
    RunGoesOn,
    RunParked,
    RunWaits,
    RunWoken,
    Wait,
)
from trunkline.contracts.steering import MessageTaken

_WAITS: Final = {
    Wait.PAUSED: "Paused",
    Wait.FORGE: "Waiting for the forge, which does not answer or wants to be left alone",
    Wait.PLACE: "Waiting for a place: all are taken",
}
"""What else is waited for is told by the question."""
_CALL: Final = {
    CallVerdict.ALLOWED: "Tool call allowed",
    CallVerdict.DENIED: "Tool call denied",
    CallVerdict.TIMED_OUT: "Nobody decided about the tool call in time",
    CallVerdict.WITHDRAWN: "Tool call taken back",
}


def sentence(fact: Fact) -> str | None:
    """Nothing for a fact that means nothing here."""
    match fact:
        case RunWaits():
            return _WAITS.get(fact.why)
        case RunGoesOn():
            return "Going on"
        case RunParked(why=Wait.FORGE):
            return f"Asking the forge again at {fact.until:%H:%M:%S} UTC" if fact.until else "Put aside until the forge is back"
        case RunParked():
            return "Put aside until somebody decides"
        case RunWoken():
            return "Taken up again"
        case AgentInterrupted():
            return f"Interrupted by {fact.by}"
        case MessageTaken():
            return "The agent has a message"
        case _:
            return _asked(fact)


def _asked(fact: Fact) -> str | None:
    match fact:
        case ApprovalWanted():
            return f"Waiting for an approval: {fact.subject}"
        case ApprovalDropped():
            return f"The approval is not needed any more: {fact.reason}" if fact.reason else "The approval is not needed any more"
        case CallAnswered():
            return _answered(fact)
        case RuleGranted():
            return f"Allowed for the whole run by {fact.by}: {fact.rule.tool} {fact.rule.argument}"
        case BudgetRaised():
            return f"Budget raised by ${fact.usd:.2f} by {fact.by}"
        case PushJudged(cleared=False):
            return f"The push needs an approval: {'; '.join(fact.reasons)}"
        case _:
            return None


def _answered(fact: CallAnswered) -> str:
    by = f" by {fact.by}" if fact.verdict in (CallVerdict.ALLOWED, CallVerdict.DENIED) else ""
    return f"{_CALL[fact.verdict]}{by}: {fact.reason}" if fact.reason else f"{_CALL[fact.verdict]}{by}"
