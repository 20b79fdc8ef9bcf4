"""What the router hears."""

from __future__ import annotations

from trunkline.bus import Inlet
from trunkline.contracts.task import CancelTask, SubmitTask
from trunkline_router.handlers.run_news import RunNews
from trunkline_router.handlers.stop_overdue import OverdueStop
from trunkline_router.handlers.task_effects import TaskEffects
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import DeadlineReached, RetryDue
from trunkline_router.ports import DueTask


def subscribe(inlet: Inlet, life: TaskLife, effects: TaskEffects, overdue: OverdueStop) -> None:
    """Declare every subscription of the router."""

    async def deadline(due: DueTask) -> None:
        await life.happened(due, DeadlineReached())

    async def retry(due: DueTask) -> None:
        await life.happened(due, RetryDue(due.attempt))

    inlet.command("router", SubmitTask, life.submit, stores=True)
    inlet.command("router", CancelTask, life.cancel, stores=True)
    inlet.facts("router-tasks", "task", effects.on)
    inlet.facts("router-runs", "run", RunNews(life).on)
    inlet.timer("router", "deadline", DueTask, deadline)
    inlet.timer("router", "retry", DueTask, retry)
    inlet.timer("router", "stop", DueTask, overdue.on)
