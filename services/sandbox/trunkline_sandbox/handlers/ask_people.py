"""Calls that an agent may not make by itself: judged by rules, put to people, and answered; each answer is a fact before it is told."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.contracts.calls import Ruling, call_digest
from trunkline.contracts.message import Fact
from trunkline.contracts.run import ApprovalDropped, ApprovalWanted, CallAnswered, CallVerdict
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.sitting import Sitting
from trunkline_sandbox.model import Ask, Verdict, bracket
from trunkline_sandbox.model.asking import ANOTHER as CHANGED
from trunkline_sandbox.model.asking import Asked, answer, call_name, question, taken_up
from trunkline_sandbox.model.rules import Judged, ruling

TOOL_CALL = "tool_call"
TAKEN_BACK = "the agent took the call back"


class AskPeople:
    def __init__(self, sitting: Sitting) -> None:
        self._sitting = sitting

    async def hear(self) -> tuple[str, ...]:
        """Look at the calls that the conversation holds now; what came of those that were not put to people, as sentences for people."""
        sitting = self._sitting
        if sitting.parking or sitting.end:
            return ()
        notices: list[str] = []
        for ask in sitting.talk.asks:
            name = call_name(sitting.run.attempt, sitting.number, ask)
            if name not in sitting.seen:
                sitting.seen[name] = ask
                notices += await self._new(name, ask)
        await self._taken_back()
        self._forget()
        return tuple(notices)

    async def look(self) -> None:
        """Tell the agent what was decided meanwhile."""
        for wanted in self._open():
            decision = await self._sitting.wires.decision(self._sitting.job, wanted.approval_id)
            if decision is not None:
                ask = self._sitting.seen[wanted.approval_id]
                outcome = answer(Asked(wanted, self._sitting.number, ask, self._sitting.agent.skill.rewrite), decision)
                faultpoint("answered.before_effect")
                await self._append(outcome.facts, without=(wanted,))
                faultpoint("answered.after_record")
                await self._tell(ask, outcome.verdict)
                faultpoint("answered.after_effect")

    async def drop(self, reason: str) -> None:
        """Nobody has to decide any more: the program is gone."""
        await self._dropped(self._sitting.run.questions.open, reason)

    def _forget(self) -> None:
        """Inputs may be large: nothing is kept of a call that waits no more."""
        run, seen = self._sitting.run, self._sitting.seen
        waiting = {call_name(run.attempt, self._sitting.number, ask) for ask in self._sitting.talk.asks}
        for name in [name for name in seen if name not in waiting and not run.questions.wanted(name)]:
            del seen[name]

    def _open(self) -> list[ApprovalWanted]:
        return [wanted for wanted in self._sitting.run.questions.open if wanted.approval_id in self._sitting.seen]

    async def _new(self, name: str, ask: Ask) -> list[str]:
        sitting = self._sitting
        questions = sitting.run.questions
        if answered := questions.answered.get((sitting.number, ask.id)):
            await self._tell_again(ask, answered)
        elif questions.wanted(name):
            await sitting.listen_for(name)
        elif not self._is_told(ask):
            own = sitting.job.assignment.tool_rules
            return await self._judged(ask, ruling(ask, sitting.world.rules, own, questions.rules))
        return []

    def _is_told(self, ask: Ask) -> bool:
        """Answered before a takeover, by a rule and so without a fact; rules may be others now."""
        entries = self._sitting.agent.answer(self._sitting.talk, ask, Verdict(True))
        return bool(entries) and all(entry.id in self._sitting.told for entry in entries)

    async def _judged(self, ask: Ask, judged: Judged) -> list[str]:
        match judged.then:
            case Ruling.ALLOW:
                await self._tell(ask, Verdict(True))
                return []
            case Ruling.DENY:
                reason = judged.reason or "a rule denies it"
                await self._tell(ask, Verdict(False, reason))
                return [f"Denied by rule: {ask.tool} {' '.join(ask.argument.split())[:200]} ({reason})"]
            case Ruling.ASK:
                await self._ask(ask, judged)
                return []

    async def _ask(self, ask: Ask, judged: Judged) -> None:
        sitting = self._sitting
        if grant := sitting.run.questions.grant(call_digest(ask.tool, ask.input)):
            await self._append((taken_up(sitting.asker, ask, grant),))
            await self._tell(ask, Verdict(True, grant.reason))
            return
        wanted = question(sitting.asker, ask, judged, (sitting.job.redactor or sitting.world.redactor).json(dict(ask.input)))
        await sitting.listen_for(wanted.approval_id)
        faultpoint("asked.before_effect")
        await self._append((wanted,), beside=(wanted,))
        faultpoint("asked.after_record")

    async def _tell_again(self, ask: Ask, answered: CallAnswered) -> None:
        """It was answered; whether it was told is not known, and telling it again does no harm."""
        verdict = Verdict(answered.verdict is CallVerdict.ALLOWED, answered.reason)
        if verdict.allowed and answered.digest != call_digest(ask.tool, ask.input):
            decision = await self._sitting.wires.decision(self._sitting.job, answered.approval_id)
            input = getattr(getattr(decision, "allowance", None), "input", None)
            rewritten = input is not None and call_digest(ask.tool, input) == answered.digest
            verdict = Verdict(True, answered.reason, input) if rewritten else Verdict(False, CHANGED)
        await self._tell(ask, verdict)

    async def _tell(self, ask: Ask, verdict: Verdict) -> None:
        sitting = self._sitting
        await sitting.tell(sitting.agent.answer(sitting.talk, ask, verdict))
        if verdict.reason and not verdict.allowed and not sitting.agent.skill.reason:
            sitting.words[f"why-{call_name(sitting.run.attempt, sitting.number, ask)}"] = f"{ask.tool} was denied: {verdict.reason}"

    async def _taken_back(self) -> None:
        here = {ask.id for ask in self._sitting.talk.asks}
        gone = [wanted for wanted in self._open() if self._sitting.seen[wanted.approval_id].id not in here]
        await self._dropped(gone, TAKEN_BACK)

    async def _dropped(self, open: Sequence[ApprovalWanted], reason: str) -> None:
        if not open:
            return
        facts = [fact for wanted in open for fact in dropped(wanted, self._sitting.number, reason)]
        await self._append(facts, without=open)

    async def _append(
        self, facts: Sequence[Fact], *, without: Sequence[ApprovalWanted] = (), beside: Sequence[ApprovalWanted] = ()
    ) -> None:
        """The facts, and whether the run waits now, as one decision."""
        run = self._sitting.run
        gone = {wanted.approval_id for wanted in without}
        open = (*(wanted for wanted in run.questions.open if wanted.approval_id not in gone), *beside)
        waits = bracket(run.attempt, run.questions.waits, open, paused=run.questions.paused)
        await self._sitting.append((*facts, *waits), "call")


def dropped(wanted: ApprovalWanted, sitting: int, reason: str) -> list[Fact]:
    """Nobody has to decide about this any more."""
    name = wanted.approval_id
    taken_back = ApprovalDropped(attempt=wanted.attempt, approval_id=name, reason=reason)
    if wanted.kind != TOOL_CALL:
        return [taken_back]
    withdrawn = CallAnswered(
        attempt=wanted.attempt,
        sitting=sitting,
        call=Asked(wanted, sitting).call,
        approval_id=name,
        verdict=CallVerdict.WITHDRAWN,
        by="trunkline",
        reason=reason,
        digest=wanted.digest,
    )
    return [taken_back, withdrawn]
