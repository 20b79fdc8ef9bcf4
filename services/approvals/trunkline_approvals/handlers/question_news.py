"""An agent elsewhere asks for input, is answered, goes on without an answer, or ends: it is asked for, and no question outlives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import structlog
from pydantic import ValidationError

from trunkline.bus import Stored
from trunkline.contracts.approval import RequestApproval
from trunkline.contracts.errors import Conflict, Invalid
from trunkline.contracts.instance import InstanceAsked, InstanceMoved, InstanceSaid, InstanceTold, question_id
from trunkline.contracts.message import Accepted, Fact
from trunkline.contracts.subjects import parse_event
from trunkline.runtime.faults import faultpoint
from trunkline_approvals.model import Answered, Question, Withdraw, open_questions, place, question, said
from trunkline_approvals.ports import Approvals, Tasks

log = structlog.get_logger()

WENT_ON: Final = "the agent went on without an answer"
OVER: Final = "the agent is done"


class QuestionNews:
    """Every word may be heard again, late, and in another order than it was said: the first fact of an approval settles the race."""

    def __init__(
        self, approvals: Approvals, logs: Tasks, asking: Callable[[RequestApproval], Awaitable[Accepted]], now: Callable[[], datetime]
    ) -> None:
        self._approvals = approvals
        self._logs = logs
        self._asking = asking
        self._now = now

    async def on(self, stored: Stored) -> None:
        """Raises Unavailable."""
        for fact in stored.record.facts:
            await self._heard(stored.subject, fact)

    async def _heard(self, subject: str, fact: Fact) -> None:
        tenant, task, _ = parse_event(subject)
        match fact:
            case InstanceSaid():
                if fact.closes:
                    await self._receive(Withdraw(tenant, task, question_id(fact.closes), WENT_ON))
                if fact.asks:
                    await self._ask(Question(task, fact.message_id, fact.text), tenant)
            case InstanceAsked():
                if fact.closes:
                    await self._receive(Withdraw(tenant, task, question_id(fact.closes), WENT_ON))
                if fact.gave:
                    return
                text = fact.text or said(await self._facts(subject), fact.message_id)
                await self._ask(Question(task, fact.message_id, text), tenant)
            case InstanceTold() if fact.answers:
                await self._receive(Answered(tenant, task, question_id(fact.answers), fact.text, fact.by))
            case InstanceMoved() if fact.status.over:
                for message in open_questions(await self._facts(subject)):
                    await self._receive(Withdraw(tenant, task, question_id(message), OVER))
            case _:
                pass

    async def _ask(self, asked: Question, tenant: str) -> None:
        faultpoint("approval_wanted.before_ask")
        try:
            await self._asking(question(asked, tenant, self._now()))
        except (Invalid, Conflict, ValidationError) as error:  # the conversation has it all the same, and may be answered there
            log.warning("approvals.not_askable", tenant=tenant, task=asked.task, message=asked.message[:64], error=str(error)[:500])

    async def _receive(self, cue: Withdraw | Answered) -> None:
        try:
            where = place(cue)
        except (Invalid, ValueError):  # no approval can have such a name, so none is open
            return
        faultpoint("question_closed.before_effect")
        outcome = await self._approvals.receive(where, cue, self._now(), "instance")
        faultpoint("question_closed.after_record")
        if outcome.facts:
            name = "approvals.answered" if isinstance(cue, Answered) else "approvals.withdrawn"
            log.info(name, tenant=cue.tenant, task=cue.task_id, approval=cue.approval_id)

    async def _facts(self, subject: str) -> list[Fact]:
        loaded = await self._logs.load(subject)
        return [fact for stored in loaded.records for fact in stored.record.facts]
