"""Tasks that are to begin later: when they may, and how far ahead that can lie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Fact
from trunkline.contracts.task import Assignment, TaskAssigned
from trunkline_router.model.holding import held
from trunkline_router.model.rules import Rules

FARTHEST: Final = timedelta(days=30)
OF_LOG: Final = 3
"""Of the time for which facts are kept a third, if that is less: they must be on the log still when it begins, and when it ends."""
TOKEN_KEPT: Final = timedelta(days=7)
"""A caller's token lies in the vault for a day more."""


def begins(assignment: Assignment, at: datetime, lasts_s: float, kept: timedelta) -> datetime:
    """The moment at which it may begin: `at`, or the later one that was asked for. Raises Invalid for one too far ahead."""
    wanted = _in_utc(assignment.start_at) if assignment.start_at else at
    if wanted - at > (farthest := min(FARTHEST, kept / OF_LOG)):
        most = f"{farthest / timedelta(days=1):.3g} days"
        raise Invalid(f"a task can begin at most {most} from now; make a schedule of it", code="START_TOO_FAR", field="start_at")
    if wanted > at and assignment.credential and wanted - at + timedelta(seconds=lasts_s) > TOKEN_KEPT:
        days = TOKEN_KEPT.days
        raise Invalid(f"your token is kept for {days} days, and the task would end later", code="START_TOO_FAR", field="start_at")
    return max(wanted, at)


def begun(assignment: Assignment, rules: Rules, by: str) -> list[Fact]:
    """What follows at the moment at which a task may begin: whoever must allow it is asked then, and not days before."""
    hold = held(assignment, rules.gates, by)
    return [TaskAssigned(pool=assignment.pool, attempt=1), *([hold] if hold else [])]


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
