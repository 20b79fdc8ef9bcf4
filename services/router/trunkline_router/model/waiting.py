"""A run that waits for people: the deadline of its task stands still meanwhile, and moves by the time between."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from trunkline.contracts.message import Fact
from trunkline.contracts.task import TaskGoesOn, TaskRetryScheduled, TaskWaits
from trunkline_router.model.cues import RunGoing, RunWaiting
from trunkline_router.model.task import Task

EARLY: Final = timedelta(milliseconds=20)
"""So much before the deadline an alarm may ring and mean it: nats-server counts milliseconds."""


def waits(task: Task, news: RunWaiting) -> list[Fact]:
    """The first of several questions stops the clock; a word that was overtaken by a newer one is no news."""
    if task.stop or task.waits_since or news.seq <= task.heard:
        return []
    return [TaskWaits(why=news.why, approval_id=news.approval_id, heard=news.seq)]


def goes_on(task: Task, news: RunGoing, at: datetime) -> list[Fact]:
    if task.stop or task.waits_since is None or news.seq <= task.heard:
        return []
    return [TaskGoesOn(deadline_at=moved(task, at), heard=news.seq)]


def between_attempts(task: Task, facts: list[Fact], at: datetime) -> list[Fact]:
    """A run that ends while it waits, and is tried again, waits for nobody any more."""
    if task.waits_since is None or not any(isinstance(fact, TaskRetryScheduled) for fact in facts):
        return facts
    return [TaskGoesOn(deadline_at=moved(task, at)), *facts]


def rings_in_vain(task: Task, at: datetime) -> bool:
    """Whether an alarm that rings now is not the one that ends the task."""
    return bool(task.stop or task.hold or task.waits_since) or too_early(task, at)


def too_early(task: Task, at: datetime) -> bool:
    """Whether it was set for an earlier deadline, or by another clock."""
    return at < task.deadline_at - EARLY


def moved(task: Task, at: datetime) -> datetime:
    """The deadline when a wait ends; clocks that differ never make it earlier."""
    waited = max(at - task.waits_since, timedelta()) if task.waits_since else timedelta()
    try:
        return task.deadline_at + waited
    except OverflowError:  # it lies at the end of the calendar
        return task.deadline_at
