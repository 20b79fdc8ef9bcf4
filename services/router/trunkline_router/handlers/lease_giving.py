"""A released task is put into an agent's hands: the lease is a fact before anybody is told."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from trunkline.contracts.agent import Leased
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.trace import trace_of
from trunkline.runtime.actor import Actor
from trunkline.runtime.faults import faultpoint
from trunkline.telemetry.traces import current
from trunkline_router.handlers.agent_runs import run_in
from trunkline_router.handlers.lease_line import Waiting
from trunkline_router.model import Cue, Lease, LeaseWanted, Task
from trunkline_router.ports import Beats, DueTask, Handed

NO_SPAN: Final = "0" * 16
FENCE: Final = 16
"""Bytes of chance in a lease."""


class Giver:
    def __init__(self, actor: Actor[Task, tuple[Cue, datetime]], beats: Beats, now: Callable[[], datetime], lasts: timedelta) -> None:
        self._actor = actor
        self._beats = beats
        self._now = now
        self._lasts = lasts

    async def kind(self, handed: Handed) -> str | None:
        task = await self._actor.state(_due(handed).subject, 1)
        if task is None or task.status.terminal or task.attempt > handed.item.attempt:
            return None
        return task.assignment.type

    async def give(self, handed: Handed, waiting: Waiting) -> Leased | None:
        """None where it was given already, or is no agent's to do now."""
        due, now = _due(handed), self._now()
        until = now + self._lasts
        trace = span.traceparent if (span := current()) else ""
        asked, lease = waiting.wish, secrets.token_hex(FENCE)
        wanted = LeaseWanted(handed.item.attempt, lease, waiting.call.name, asked.session, until, trace, asked.begin)
        task = (await self._actor.receive(due.subject, (wanted, now), now, cause="claim")).state
        if task is None or task.lease is None or task.lease.id != wanted.lease:
            return None
        faultpoint("agent_leased.after_record")
        await self._beats.put(TenantId(due.tenant), TaskId(due.task), now)
        return leased(due.task, task, task.lease, until)


def leased(task_id: str, task: Task, lease: Lease, until: datetime) -> Leased:
    asked = task.assignment
    return Leased(
        task_id=task_id,
        lease=lease.id,
        attempt=lease.attempt,
        until=until,
        type=asked.type,
        pool=asked.pool,
        priority=asked.priority,
        payload=asked.payload,
        prompt=asked.prompt,
        repo=asked.repo,
        branch=asked.branch,
        metadata=asked.metadata,
        submitted_by=task.submitted_by,
        deadline_at=task.deadline_at,
        trace_id=task.trace_id or "",
        begun=lease.begun,
        traceparent=run_in(lease.trace or f"00-{trace_of(task.trace_id or task_id)}-{NO_SPAN}-00", lease.id),
    )


def _due(handed: Handed) -> DueTask:
    return DueTask(tenant=handed.item.tenant, task=handed.item.task)
