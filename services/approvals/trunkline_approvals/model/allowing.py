"""What a yes may hold beyond yes: only what was offered with the question, and the same for all who vote."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.approval import DecideApproval, Verdict
from trunkline.contracts.calls import Allowance, Ruling, Scope, ToolRule, canonical
from trunkline.contracts.errors import Conflict, Invalid
from trunkline.contracts.instance import INPUT
from trunkline_approvals.model.state import Approval

RUN: Final = "run"
REWRITE: Final = "rewrite"
USD: Final = "usd"
ANSWER: Final = "answer"
MOST_ANSWER: Final = 64 << 10
"""Characters; what an allowance takes."""
MOST_INPUT: Final = 64 << 10
"""Bytes of a rewritten input as canonical JSON; every vote carries it, and a record holds a megabyte."""
_IN_WORDS: Final = {
    RUN: "to allow this for the whole run",
    REWRITE: "to run something else than was asked",
    USD: "to say how much more may be spent",
    ANSWER: "to say something to whoever asked",
}


def meant(allowance: Allowance | None) -> Allowance | None:
    """One form for one meaning: what holds nothing beyond yes is None."""
    return None if allowance == Allowance() else allowance


def same(one: Allowance | None, other: Allowance | None) -> bool:
    """Whether both mean the same; JSON tells 1 from true, which Python does not."""
    return _text(one) == _text(other)


def check_allowance(approval: Approval, command: DecideApproval) -> None:
    """Raises Invalid for what was not offered or contradicts itself, Conflict for what others did not mean."""
    allowance = meant(command.allowance)
    if allowance:
        _check_offered(approval, command.verdict, allowance)
        _check_sense(approval, allowance)
    if command.verdict is Verdict.APPROVED:
        _check_answered(approval, allowance)
        _check_agreed(approval, allowance)


def _check_offered(approval: Approval, verdict: Verdict, allowance: Allowance) -> None:
    if verdict is Verdict.REJECTED:
        raise Invalid("a rejection holds nothing but its reason; leave out the rest", code="NOT_OFFERED")
    offers = approval.asked.about.get("offers")
    offered = offers if isinstance(offers, list) else []
    for wish in _wishes(allowance):
        if wish not in offered:
            raise Invalid(f"this approval does not offer {_IN_WORDS[wish]}; read what its `offers` name", code="NOT_OFFERED")


def _wishes(allowance: Allowance) -> list[str]:
    wants = {
        RUN: allowance.scope is Scope.RUN or allowance.rule is not None,
        REWRITE: allowance.input is not None,
        USD: allowance.usd is not None,
        ANSWER: allowance.answer is not None,
    }
    return [wish for wish, wanted in wants.items() if wanted]


def _check_sense(approval: Approval, allowance: Allowance) -> None:
    if allowance.rule:
        _check_rule(approval, allowance, allowance.rule)
    if allowance.input is None:
        return
    if allowance.scope is Scope.RUN:
        raise _senseless("what is rewritten runs once; allow it for the run without `input`, or rewrite it without `scope`")
    if len(canonical(allowance.input).encode("utf-8", "backslashreplace")) > MOST_INPUT:
        raise _senseless(f"the input has more than {MOST_INPUT} bytes as JSON; write less")


def _check_rule(approval: Approval, allowance: Allowance, rule: ToolRule) -> None:
    if allowance.scope is not Scope.RUN:
        raise _senseless("a rule holds for the run: say the scope `run` with it")
    if rule.then is not Ruling.ALLOW:
        raise _senseless("the rule of a yes can only allow")
    # Those who may decide were chosen for this tool: a rule for another one would be somebody else's to grant.
    if rule.tool != approval.asked.about.get("tool") or "*" in rule.tool or "?" in rule.tool:
        raise _senseless("the rule must name exactly the tool that was asked about")


def _check_answered(approval: Approval, allowance: Allowance | None) -> None:
    """A bare yes says nothing to an agent that asked what it is to do."""
    if approval.asked.kind == INPUT and not (allowance and allowance.answer and allowance.answer.strip()):
        raise Invalid(
            "the agent asked for words: give it an `answer`, or reject with a reason", code="ANSWER_NEEDED",
            approval_id=approval.asked.approval_id,
        )  # fmt: skip


def _check_agreed(approval: Approval, allowance: Allowance | None) -> None:
    before = next((vote for vote in approval.votes if vote.verdict is Verdict.APPROVED), None)
    if before and not same(before.allowance, allowance):
        raise Conflict(
            f"{before.by} allowed something else; read the approval, and allow the same or reject it", code="ALLOWANCE_DIFFERS",
            approval_id=approval.asked.approval_id,
        )  # fmt: skip


def _senseless(sentence: str) -> Invalid:
    return Invalid(sentence, code="BAD_ALLOWANCE")


def _text(allowance: Allowance | None) -> str:
    found = meant(allowance)
    return canonical(found.model_dump(mode="json")) if found else ""
