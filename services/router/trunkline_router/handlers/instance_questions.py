"""What people decided about an open question of an agent, on whatever surface, becomes a message to it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalDecided, DecidedBy, Verdict
from trunkline.contracts.ids import TaskId, TenantId, message_id
from trunkline.contracts.instance import question_id
from trunkline.runtime.actor import Actor
from trunkline_router.model.instance import Instance
from trunkline_router.model.instance_cues import Decided, InstanceCue
from trunkline_router.ports import DueTask


class Standing(NamedTuple):
    """An instance as it is, and the sequence of its last record."""

    instance: Instance
    seq: int


class Questions:
    """Read from the approval itself: an answer needs nobody to be brought here but the agent that waits for it."""

    def __init__(self, actor: Actor[Instance, InstanceCue], log: Log) -> None:
        self._actor = actor
        self._log = log

    async def settled(self, due: DueTask, at: datetime) -> Standing | None:
        """How the instance stands once everything is told to it that was decided. Raises Unavailable."""
        subject = due.instance
        last = await self._log.last(subject)
        instance = await self._actor.state(subject, last.seq) if last else None
        if last is None or instance is None:
            return None
        decided = await self._decided(due, instance.question) if instance.question else None
        if decided is None:
            return Standing(instance, last.seq)
        after = await self._actor.receive(subject, decided, at, cause="approval")
        return Standing(after.state or instance, after.seq)

    async def _decided(self, due: DueTask, question: str) -> Decided | None:
        approval = question_id(question)
        stored = await self._log.last(subjects.event(TenantId(due.tenant), TaskId(due.task), subjects.approval_part(approval)))
        for fact in stored.record.facts if stored else ():
            if isinstance(fact, ApprovalDecided) and (text := answer_of(fact)):
                return Decided(question, approval, message_id(due.task, approval), text, fact.by)
        return None


def answer_of(decision: ApprovalDecided) -> str:
    """In words; none where nobody had any: what a rule or the clock refuses is no answer."""
    if decision.verdict is Verdict.APPROVED:
        return (decision.allowance.answer if decision.allowance else None) or "Approved."
    return (decision.reason or "Declined.") if decision.decided_by is DecidedBy.HUMAN else ""
