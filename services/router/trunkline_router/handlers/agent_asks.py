"""Agents on NATS ask people, and wait for what they say: the question is a fact that approvals hears, and so is that it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from pydantic import JsonValue

from trunkline.bus import Bell, Log, Nudges
from trunkline.contracts import subjects
from trunkline.contracts.agent import MOST_ABOUT, MOST_LINE, Answer, Answered, AnswerStatus, Approve, Ask, Asked
from trunkline.contracts.approval import ApprovalDecided, ApprovalWithdrawn, DecidedBy, Verdict
from trunkline.contracts.calls import digest_of
from trunkline.contracts.errors import NotFound, TooLarge
from trunkline.contracts.ids import TaskId
from trunkline.contracts.instance import INPUT
from trunkline.contracts.message import Accepted, Fact
from trunkline.contracts.run import ApprovalWanted
from trunkline.contracts.subjects import AgentCall
from trunkline.runtime.actor import Actor
from trunkline.runtime.faults import faultpoint
from trunkline_router.handlers.agent_bodies import accepted, size
from trunkline_router.handlers.agent_struck import clean
from trunkline_router.handlers.lease_reading import Leases, due_of
from trunkline_router.model import AgentAsks, AskDecided, Cue, Task

ACT: Final = "act"
"""The kind of an approval of what an agent elsewhere is about to do."""
SURFACE: Final = "nats"
LOOK: Final = 2.0
"""Seconds until the log is read though no bell rang."""
ANOTHER: Final = "approved was something else than what was asked"


class AgentAsking:
    def __init__(
        self, actor: Actor[Task, tuple[Cue, datetime]], leases: Leases, log: Log, nudges: Nudges, now: Callable[[], datetime]
    ) -> None:
        self._actor = actor
        self._leases = leases
        self._log = log
        self._nudges = nudges
        self._now = now

    async def ask(self, call: AgentCall, wish: Ask) -> Accepted:
        """Raises NotFound, Conflict, TooLarge, Unavailable."""
        wish = clean(wish)
        digest = digest_of({"v": 1, "question": wish.question, "about": wish.about})
        subject = _line(wish.question)
        return await self._open(call, wish, (INPUT, subject, digest), {"question": wish.question, "offers": ["answer"]})

    async def approve(self, call: AgentCall, wish: Approve) -> Accepted:
        """Raises as `ask`."""
        wish = clean(wish)
        digest = digest_of({"v": 1, "title": wish.title, "about": wish.about})
        return await self._open(call, wish, (ACT, _line(wish.title), digest), {})

    async def answer(self, call: AgentCall, wish: Answer) -> Accepted:
        """Raises NotFound, Conflict (LEASE_LOST), Unavailable."""
        name = approval_name(wish.id)
        parts = subjects.approval_part(name), subjects.TASK
        with suppress(TimeoutError):
            async with asyncio.timeout(wish.wait_s or None), self._nudges.on(call.tenant, TaskId(wish.task_id), *parts) as bell:
                return accepted(await self._until_decided(call, wish, name, bell))
        return accepted(Answered(approval_id=name, status=AnswerStatus.PENDING))

    async def _until_decided(self, call: AgentCall, wish: Answer, name: str, bell: Bell) -> Answered:
        while True:
            bell.rung.clear()
            answered = await self._now_decided(call, wish, name)
            if answered.status is not AnswerStatus.PENDING or not wish.wait_s:
                return answered
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await bell.rung.wait()

    async def _open(self, call: AgentCall, wish: Ask | Approve, what: tuple[str, str, str], about: dict[str, JsonValue]) -> Accepted:
        if size(wish.about) > MOST_ABOUT:
            raise TooLarge(f"at most {MOST_ABOUT} bytes are shown beside a question; say it shorter", code="ABOUT_TOO_LARGE")
        found, lease = await self._leases.held(call, wish)
        now, (kind, subject, digest) = self._now(), what
        wanted = ApprovalWanted(
            attempt=lease.attempt,
            approval_id=approval_name(wish.id),
            kind=kind,
            subject=subject,
            digest=digest,
            requested_by=call.name,
            about=_shown(wish, found.task, call) | about,
            expires_at=now + timedelta(seconds=wish.expires_s) if wish.expires_s else None,
        )
        faultpoint("agent_ask.before_effect")
        due = due_of(call, wish.task_id)
        decided = await self._actor.receive(due.subject, (AgentAsks(wish.lease, call.name, wanted), now), now, cause="ask")
        return accepted(Asked(approval_id=wanted.approval_id, id=wish.id), decided.seq)

    async def _now_decided(self, call: AgentCall, wish: Answer, name: str) -> Answered:
        found, _ = await self._leases.held(call, wish)
        asked = next((ask for ask in found.task.asks if ask.approval_id == name), None)
        if asked is None:
            raise NotFound("nothing was asked under this id", code="NOT_ASKED")
        loaded = await self._log.load(subjects.event(call.tenant, TaskId(wish.task_id), subjects.approval_part(name)))
        facts = [fact for stored in loaded.records for fact in stored.record.facts]
        answered = answer_of(name, asked.digest, facts)
        if answered.status is not AnswerStatus.PENDING:
            now, cue = self._now(), AskDecided(wish.lease, call.name, name)
            await self._actor.receive(due_of(call, wish.task_id).subject, (cue, now), now, cause="answer")
        return answered


def approval_name(id: str) -> str:
    """The approval of a question, by its name within the task."""
    return f"a-{sha256(id.encode()).hexdigest()[:32]}"


def answer_of(name: str, digest: str, facts: list[Fact]) -> Answered:
    """How it was decided, as far as it was. A yes to anything else is a no."""
    for fact in facts:
        match fact:
            case ApprovalDecided(verdict=Verdict.APPROVED) if fact.digest == digest:
                said = (fact.allowance.answer if fact.allowance else None) or ""
                return Answered(approval_id=name, status=AnswerStatus.APPROVED, answer=said, by=fact.by, reason=fact.reason)
            case ApprovalDecided(verdict=Verdict.APPROVED):
                return Answered(approval_id=name, status=AnswerStatus.REJECTED, by=fact.by, reason=ANOTHER)
            case ApprovalDecided():
                late = fact.decided_by is DecidedBy.TIMEOUT
                status = AnswerStatus.EXPIRED if late else AnswerStatus.REJECTED
                return Answered(approval_id=name, status=status, by=fact.by, reason=fact.reason)
            case ApprovalWithdrawn():
                return Answered(approval_id=name, status=AnswerStatus.WITHDRAWN, reason=fact.reason)
            case _:
                pass
    return Answered(approval_id=name, status=AnswerStatus.PENDING)


def _shown(wish: Ask | Approve, task: Task, call: AgentCall) -> dict[str, JsonValue]:
    """What the rules go by is ours to say; what the agent adds stands apart from it."""
    asked = task.assignment
    ours: dict[str, JsonValue] = {"type": asked.type, "priority": asked.priority.value, "surface": SURFACE, "pool": asked.pool}
    return {**ours, "agent": call.name, "details": wish.about}


def _line(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MOST_LINE else f"{plain[: MOST_LINE - 1]}…"
