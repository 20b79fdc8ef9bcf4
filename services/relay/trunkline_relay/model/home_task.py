"""What of a task matters to the workflow run that is started for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from trunkline.contracts.instance import instance_subject
from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    Assignment,
    Executor,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskGoesOn,
    TaskHeld,
    TaskHoldDropped,
    TaskReleased,
    TaskStatus,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)

ITS_WORD: Final = "AGENT_FAILED"
"""Why a task failed whose agent said so itself."""


class HomeTask(NamedTuple):
    """A task as its dispatch sees it."""

    assignment: Assignment
    deadline_at: datetime
    attempt: int = 0
    held: bool = False
    stop: bool = False
    end: TaskStatus | None = None
    left_at: datetime | None = None
    """When its agent itself said that it gave up: its run is about to end by itself."""

    @property
    def to_start(self) -> bool:
        """Whether a workflow is to be started for it now."""
        dispatched = self.assignment.executor is Executor.GITHUB_WORKFLOW
        return dispatched and bool(self.attempt) and not self.held and not self.unwanted and self.end is None

    @property
    def unwanted(self) -> bool:
        """Whether nobody wants its work any more; what succeeded may still tidy up."""
        return self.stop or self.end in (TaskStatus.FAILED, TaskStatus.CANCELLED)


def home_task(facts: Iterable[tuple[Fact, datetime]]) -> HomeTask | None:
    """The task that all its facts make, each with its moment."""
    task: HomeTask | None = None
    for fact, at in facts:
        if isinstance(fact, TaskSubmitted):
            task = HomeTask(fact.assignment, fact.deadline_at)
        elif task is not None:
            task = _after(task, fact)._replace(left_at=at if _left(fact) else task.left_at)
    return task


def _after(task: HomeTask, fact: Fact) -> HomeTask:
    match fact:
        case TaskAssigned(attempt=attempt):
            return task._replace(attempt=attempt)
        case TaskHeld():
            return task._replace(held=True)
        case TaskReleased(deadline_at=at):
            return task._replace(held=False, deadline_at=at)
        case TaskGoesOn(deadline_at=at):
            return task._replace(deadline_at=at)
        case TaskHoldDropped():
            return task._replace(held=False)
        case TaskStopRequested():
            return task._replace(stop=True)
        case TaskSucceeded():
            return task._replace(end=TaskStatus.SUCCEEDED)
        case TaskFailed():
            return task._replace(end=TaskStatus.FAILED)
        case TaskCancelled():
            return task._replace(end=TaskStatus.CANCELLED)
        case _:
            return task


def _left(fact: Fact) -> bool:
    match fact:
        case TaskFailed(code=code):
            return code == ITS_WORD
        case TaskCancelled(by=by):
            return by.startswith(instance_subject(""))
        case _:
            return False
