"""What people decided about an open question of an agent, on whatever surface, becomes a message to it."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import Final, NamedTuple

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalDecided, ApprovalWithdrawn, DecidedBy, Verdict
from trunkline.contracts.ids import TaskId, TenantId, message_id
from trunkline.contracts.instance import question_id
from trunkline.contracts.message import Fact
from trunkline.runtime.actor import Actor
from trunkline_router.model.instance import Instance
from trunkline_router.model.instance_cues import Decided, InstanceCue
from trunkline_router.model.instance_life import decide
from trunkline_router.ports import DueTask

MOST: Final = 10_000


class Standing(NamedTuple):
    """An instance as it is, and the sequence of its last record."""

    instance: Instance
    seq: int


class Questions:
    """Read from the approval itself: an answer needs nobody to be brought here but the agent that waits for it."""

    def __init__(self, actor: Actor[Instance, InstanceCue], log: Log) -> None:
        self._actor = actor
        self._log = log
        self._settled: OrderedDict[str, None] = OrderedDict()
        """Approvals of closed questions of which nothing more comes: they are not read again."""

    async def settled(self, due: DueTask, at: datetime) -> Standing | None:
        """How the instance stands once everything is told to it that was decided. Raises Unavailable."""
        subject = due.instance
        last = await self._log.last(subject)
        instance = await self._actor.state(subject, last.seq) if last else None
        if last is None or instance is None:
            return None
        stands = Standing(instance, last.seq)
        if instance.closed and not instance.status.over:
            stands = await self._beside(due, stands, instance.closed.question, at)
        if not stands.instance.question:
            return stands
        end = await self._end(due, stands.instance.question)
        decided = _decided(due, stands.instance.question, end) if end else None
        return await self._told(due, stands, decided, at) if decided else stands

    async def _beside(self, due: DueTask, stands: Standing, question: str, at: datetime) -> Standing:
        """What was decided about a question at the moment at which a message answered it, or its agent went on: it is not lost."""
        name = _approval(due, question)
        if name in self._settled:
            return stands
        end = await self._end(due, question)
        if end is None:  # whoever owns it has not heard yet that it is closed
            return stands
        decided = _decided(due, question, end)
        if decided and decide(stands.instance, decided):
            stands = await self._told(due, stands, decided, at)
        self._settled[name] = None
        while len(self._settled) > MOST:
            self._settled.popitem(last=False)
        return stands

    async def _told(self, due: DueTask, stands: Standing, decided: Decided, at: datetime) -> Standing:
        after = await self._actor.receive(due.instance, decided, at, cause="approval")
        return Standing(after.state or stands.instance, after.seq)

    async def _end(self, due: DueTask, question: str) -> Fact | None:
        """What its approval ended with; None while it is open."""
        stored = await self._log.last(_approval(due, question))
        facts = stored.record.facts if stored else ()
        return next((fact for fact in facts if isinstance(fact, ApprovalDecided | ApprovalWithdrawn)), None)


def _approval(due: DueTask, question: str) -> str:
    return subjects.event(TenantId(due.tenant), TaskId(due.task), subjects.approval_part(question_id(question)))


def _decided(due: DueTask, question: str, end: Fact) -> Decided | None:
    approval, text = question_id(question), answer_of(end) if isinstance(end, ApprovalDecided) else ""
    return Decided(question, approval, message_id(due.task, approval), text, end.by) if text and isinstance(end, ApprovalDecided) else None


def answer_of(decision: ApprovalDecided) -> str:
    """In words; none where nobody had any: what a rule or the clock refuses is no answer."""
    if decision.verdict is Verdict.APPROVED:
        return (decision.allowance.answer if decision.allowance else None) or "Approved."
    return (decision.reason or "Declined.") if decision.decided_by is DecidedBy.HUMAN else ""
