"""What an agent does with a task as a span: begun with the lease, told when a fact ends it, under an id that the lease itself gives it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Final

from trunkline.contracts.lease import LeaseEnd, TaskLeaseOver
from trunkline.contracts.message import Fact
from trunkline.contracts.task import ENDS, TaskCancelled, TaskFailed, TaskRetryScheduled, TaskSucceeded
from trunkline.telemetry.traces import Tracer
from trunkline.telemetry.w3c import TRACEPARENT
from trunkline_router.model import Task
from trunkline_router.ports import DueTask

SPAN: Final = "run"
LEASE_ENDS: Final = (TaskLeaseOver, TaskRetryScheduled, *ENDS)


class AgentRuns:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def ended(self, due: DueTask, task: Task | None, at: datetime, facts: Iterable[Fact]) -> None:
        """Of the lease that these facts ended, where its trace is kept. Told again, it is the same span."""
        if task is None or task.past is None or task.past.ended_at != at:
            return
        lease, failed = task.past.lease, next((word for word in map(_failed, facts) if word is not None), "")
        span = self._tracer.heard(SPAN, {TRACEPARENT: lease.trace}, due.tenant, due.task)
        if span is not None and span.sampled:
            span.traceparent, span.by, span.failed = run_in(lease.trace, lease.id), lease.by, failed
            span.note(attempt=lease.attempt)
            span.lasted(lease.at, at)


def run_in(trace: str, lease: str) -> str:
    """The `traceparent` of what is done under a lease; empty where no trace came with the work."""
    return f"{trace[:36]}{sha256(lease.encode()).hexdigest()[:16]}{trace[52:]}"


def _failed(fact: Fact) -> str | None:
    """By which word it ended; empty: well. None: it did not."""
    match fact:
        case TaskLeaseOver(why=LeaseEnd.EXPIRED):
            return "AGENT_LOST"
        case TaskFailed() | TaskRetryScheduled():
            return fact.code
        case TaskCancelled():
            return "CANCELLED"
        case TaskSucceeded() | TaskLeaseOver():
            return ""
        case _:
            return None
