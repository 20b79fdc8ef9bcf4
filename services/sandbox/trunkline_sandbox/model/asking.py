"""The question that is put to people about an agent's call, and what their answer means; all pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.approval import ApprovalDecided, ApprovalWithdrawn, DecidedBy
from trunkline.contracts.approval import Verdict as Decided
from trunkline.contracts.calls import Ruling, Scope, ToolRule, call_digest, canonical
from trunkline.contracts.message import Fact
from trunkline.contracts.run import ApprovalWanted, CallAnswered, CallVerdict, RuleGranted
from trunkline_sandbox.model.conversation import Ask, Skill, Verdict
from trunkline_sandbox.model.rules import Judged, literal

MOST_SHOWN: Final = 64 << 10
"""Bytes of an input that people are shown; the digest covers all of it."""
LONGEST_RULE: Final = 2000
TIMED_OUT: Final = "nobody decided in time; this is not a refusal: you may ask again later, or go on without it"
WITHDRAWN: Final = "the question was taken back before anybody decided"
ANOTHER: Final = "approved was something else than what you asked for, so it was not run; ask again"
NO_REWRITE: Final = "it was allowed with another input, which this agent cannot be given; ask again with that input"


def call_name(attempt: int, sitting: int, ask: Ask) -> str:
    """The approval of one call, the same whenever asked."""
    return "call-" + sha256(f"{attempt}/{sitting}/{ask.id}".encode("utf-8", "backslashreplace")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Asker:
    """Which agent asks, in which attempt and sitting."""

    name: str
    skill: Skill
    attempt: int
    sitting: int


def question(asker: Asker, ask: Ask, judged: Judged, shown: JsonValue) -> ApprovalWanted:
    """What people are asked; `shown` is the input without secrets."""
    about: dict[str, JsonValue] = {
        "agent": asker.name,
        "tool": ask.tool,
        "call": ask.id,
        "argument": ask.argument[:4000],
        "description": ask.description[:2000],
        "cwd": "/workspace",
        "offers": ["once", "run", *(["rewrite"] if asker.skill.rewrite else [])],
        **_input(shown),
        **({"rule": judged.rule.model_dump(mode="json")} if judged.rule else {}),
    }
    return ApprovalWanted(
        attempt=asker.attempt,
        approval_id=call_name(asker.attempt, asker.sitting, ask),
        kind="tool_call",
        subject=f"{asker.name} wants to use {ask.tool[:100]}: {' '.join(ask.argument.split())[:200]}",
        digest=call_digest(ask.tool, ask.input),
        requested_by=f"agent:{asker.name}",
        about=about,
    )


def _input(shown: JsonValue) -> dict[str, JsonValue]:
    text = json.dumps(shown, ensure_ascii=True)
    return {"input": shown} if len(text) <= MOST_SHOWN else {"input": text[:MOST_SHOWN], "cut": True}


Decision = ApprovalDecided | ApprovalWithdrawn


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer means: the facts that say so, and what the agent is told."""

    facts: tuple[Fact, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it stands: what was asked, by which sitting, and the call as the agent has it now, where its program lives."""

    wanted: ApprovalWanted
    sitting: int
    ask: Ask | None = None
    rewrite: bool = True
    """Whether the agent can be given another input."""

    @property
    def call(self) -> str:
        return str(self.wanted.about.get("call", ""))

    @property
    def tool(self) -> str:
        return str(self.wanted.about.get("tool", ""))

    @property
    def same(self) -> bool:
        return self.ask is None or call_digest(self.ask.tool, self.ask.input) == self.wanted.digest


def answer(asked: Asked, decision: Decision) -> Answer:
    """What a decision means for the call; only one of exactly this call lets it run."""
    verdict, reason = _verdict(asked, decision)
    input = _rewritten(decision) if verdict is CallVerdict.ALLOWED else None
    by = decision.by if isinstance(decision, ApprovalDecided) else "trunkline"
    said = CallAnswered(
        attempt=asked.wanted.attempt,
        sitting=asked.sitting,
        call=asked.call,
        approval_id=asked.wanted.approval_id,
        verdict=verdict,
        by=by,
        reason=reason,
        digest=asked.wanted.digest if input is None else call_digest(asked.tool, input),
    )
    granted = granted_rule(asked, decision) if verdict is CallVerdict.ALLOWED else ()
    return Answer((said, *granted), Verdict(verdict is CallVerdict.ALLOWED, reason, input))


def _verdict(asked: Asked, decision: Decision) -> tuple[CallVerdict, str]:
    if isinstance(decision, ApprovalWithdrawn):
        return CallVerdict.WITHDRAWN, decision.reason or WITHDRAWN
    if decision.verdict is Decided.REJECTED:
        if decision.decided_by is DecidedBy.TIMEOUT:
            return CallVerdict.TIMED_OUT, TIMED_OUT
        return CallVerdict.DENIED, decision.reason or f"denied by {decision.by}"
    if decision.digest != asked.wanted.digest or not asked.same:
        return CallVerdict.DENIED, ANOTHER
    if _rewritten(decision) is not None and not asked.rewrite:
        return CallVerdict.DENIED, NO_REWRITE
    return CallVerdict.ALLOWED, decision.reason


def _rewritten(decision: Decision) -> Mapping[str, JsonValue] | None:
    allowance = decision.allowance if isinstance(decision, ApprovalDecided) else None
    return allowance.input if allowance else None


def granted_rule(asked: Asked, decision: Decision) -> tuple[RuleGranted, ...]:
    """The rule that a yes for the whole run stands for; none where it is for this call alone."""
    allowance = decision.allowance if isinstance(decision, ApprovalDecided) else None
    if allowance is None or allowance.scope is not Scope.RUN:
        return ()
    tool, argument = literal(asked.tool), literal(str(asked.wanted.about.get("argument", "")))
    if allowance.rule is None and (not argument or max(len(argument), len(tool) * 10) > LONGEST_RULE):
        return ()  # nothing that a rule could hold exactly
    rule = allowance.rule or ToolRule(tool=tool, argument=argument, then=Ruling.ALLOW)
    allowing = rule.model_copy(update={"then": Ruling.ALLOW})
    by = decision.by if isinstance(decision, ApprovalDecided) else ""
    return (RuleGranted(attempt=asked.wanted.attempt, rule=allowing, by=by, approval_id=asked.wanted.approval_id),)


def taken_up(asker: Asker, ask: Ask, grant: CallAnswered) -> CallAnswered:
    """The answer to a call that was allowed while its first program was gone."""
    return grant.model_copy(update={"sitting": asker.sitting, "call": ask.id})


def told_later(tool: str, argument: str, answered: CallAnswered, input: Mapping[str, JsonValue] | None) -> str:
    """One answer as the next sitting of the agent is told it."""
    what = f"{tool} ({' '.join(argument.split())[:300]})"
    match answered.verdict:
        case CallVerdict.ALLOWED if input is not None:
            return f"- {what}: allowed, but only with exactly this input: {canonical(input)[:8000]}"
        case CallVerdict.ALLOWED:
            return f"- {what}: allowed. It has not run yet: make exactly the same call again."
        case CallVerdict.DENIED:
            return f"- {what}: denied: {answered.reason}"
        case CallVerdict.TIMED_OUT:
            return f"- {what}: {TIMED_OUT}"
        case CallVerdict.WITHDRAWN:
            return f"- {what}: {answered.reason or WITHDRAWN}"
