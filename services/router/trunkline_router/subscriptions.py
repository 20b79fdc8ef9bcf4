"""What the router hears."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.bus import Inlet
from trunkline.contracts import subjects
from trunkline.contracts.approval import RELEASE, ApprovalDecided
from trunkline.contracts.forge import ReportPullRequest
from trunkline.contracts.task import CancelTask, PublishEvent, ReportTask, SettleHold, SubmitTask
from trunkline_router.handlers.deadlines import Deadlines
from trunkline_router.handlers.hold_news import HoldNews
from trunkline_router.handlers.one_by_one import one_by_one
from trunkline_router.handlers.publish_event import PublishedEvents
from trunkline_router.handlers.pull_requests import PullRequestNews
from trunkline_router.handlers.run_news import NEWS, RunNews
from trunkline_router.handlers.stop_overdue import OverdueStop
from trunkline_router.handlers.task_effects import TaskEffects
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.model import RetryDue, SlaReached
from trunkline_router.ports import DuePull, DueTask, DueTasks


@dataclass(frozen=True, slots=True)
class Handlers:
    """Everybody who acts on what is heard."""

    life: TaskLife
    effects: TaskEffects
    runs: RunNews
    holds: HoldNews
    overdue: OverdueStop
    events: PublishedEvents
    deadlines: Deadlines
    pulls: PullRequestNews


def subscribe(inlet: Inlet, handlers: Handlers) -> None:
    """Declare every subscription of the router."""
    life = handlers.life

    async def deadline(due: DueTasks) -> None:
        await one_by_one(due.tasks, handlers.deadlines.on)

    async def retry(due: DueTask) -> None:
        await life.happened(due, RetryDue(due.attempt))

    async def sla(due: DueTasks) -> None:
        await one_by_one(due.tasks, lambda task: life.happened(task, SlaReached()))

    inlet.command("router", SubmitTask, life.submit, stores=True)
    inlet.command("router", CancelTask, life.cancel, stores=True)
    inlet.command("router", ReportTask, life.report, stores=True)
    inlet.command("router", SettleHold, handlers.holds.settle, stores=True)
    inlet.command("router", PublishEvent, handlers.events.publish, stores=True)
    inlet.command("router", ReportPullRequest, handlers.pulls.report, stores=True)
    inlet.facts("router-tasks", subjects.TASK, handlers.effects.on)
    inlet.facts("router-runs", "run", handlers.runs.on, NEWS)
    inlet.facts("router-approvals", subjects.approval_part(RELEASE), handlers.holds.on, (ApprovalDecided,))
    inlet.timer("router", "deadline", DueTasks, deadline)
    inlet.timer("router", "retry", DueTask, retry)
    inlet.timer("router", "sla", DueTasks, sla)
    inlet.timer("router", "stop", DueTask, handlers.overdue.on)
    inlet.timer("router", "pull", DuePull, handlers.pulls.again)
