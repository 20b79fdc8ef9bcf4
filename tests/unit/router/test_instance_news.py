"""What a task hears of its instance and of its workflow run, and what an instance is to its task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.each import each
from trunkline.contracts.dispatch import (
    WITHDRAWN,
    DispatchGivenUp,
    DispatchTried,
    Outcome,
    SeenBy,
    Workflow,
    WorkflowCancelTried,
    WorkflowRun,
    WorkflowRunSeen,
)
from trunkline.contracts.instance import InstanceMoved, InstanceOpened, InstanceStatus, OpenInstance, SayAsInstance
from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    Assignment,
    Executor,
    TaskCancelled,
    TaskFailed,
    TaskStarted,
    TaskStatus,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline_router.handlers.instance_clock import rounded_up
from trunkline_router.model import InstanceBegan, InstanceOver
from trunkline_router.model.instance_cues import Opening, TaskEnded
from trunkline_router.model.instance_news import dispatch_news, instance_news, watched
from trunkline_router.model.instance_opening import assignment, ended, opening

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
S = InstanceStatus


def opened(status: S = S.ACTIVE) -> InstanceOpened:
    return InstanceOpened(agent_type="claude", owner="ann", status=status)


def moved(to: S, was: S = S.ACTIVE, **of: Any) -> InstanceMoved:
    return InstanceMoved(status=to, was=was, **of)


def run(status: str, conclusion: str = "") -> WorkflowRunSeen:
    return WorkflowRunSeen(attempt=1, run=WorkflowRun(run_id=7, url="u", status=status, conclusion=conclusion), how=SeenBy.TOLD)


@each(
    ("fact", "news"),
    [
        (opened(), InstanceBegan(1)),
        (opened(S.DISCONNECTED), None),
        (opened(S.KILLED), None),
        (moved(S.ACTIVE, S.DISCONNECTED), InstanceBegan(1)),
        (moved(S.AWAITING_INPUT), None),
        (moved(S.STALE), None),
        (moved(S.COMPLETED), InstanceOver(1, ok=True)),
        (moved(S.FAILED, why="no disk"), InstanceOver(1, code="AGENT_FAILED", error="no disk")),
        (moved(S.FAILED, code="INSTANCE_LOST", why="quiet"), InstanceOver(1, code="INSTANCE_LOST", error="quiet")),
        (moved(S.KILLED, by="ann"), InstanceOver(1, killed_by="ann")),
        (moved(S.KILLED, code="TASK_OVER"), None),
    ],
)
def test_of_its_instance_a_task_hears_that_it_began_and_how_it_ended(fact: Fact, news: object) -> None:
    assert instance_news(fact, 1) == news


@pytest.mark.parametrize(
    ("fact", "news"),
    [
        (run("queued"), None),
        (run("in_progress"), InstanceBegan(1)),
        (run("completed", "success"), InstanceOver(1, ok=True)),
        (run("completed", "cancelled"), InstanceOver(1, code="WORKFLOW_FAILED", error="the workflow run ended as cancelled: u")),
        (DispatchTried(number=1, outcome=Outcome.ACCEPTED), None),
        (DispatchGivenUp(attempt=1, code="RUN_NOT_STARTED", error="none"), InstanceOver(1, code="RUN_NOT_STARTED", error="none")),
        (WorkflowCancelTried(attempt=1, run_id=7, number=1, outcome=Outcome.ERROR), None),
    ],
)
def test_of_its_run_a_task_hears_that_it_works_and_how_it_ended(fact: Fact, news: object) -> None:
    assert dispatch_news(fact) == news


@pytest.mark.parametrize(
    "fact",
    [
        DispatchGivenUp(attempt=1, code=WITHDRAWN, error=""),
        WorkflowCancelTried(attempt=1, run_id=7, number=1, outcome=Outcome.ACCEPTED),
    ],
)
def test_what_was_to_stop_and_has_is_told_as_stopped(fact: Fact) -> None:
    news = dispatch_news(fact)
    assert isinstance(news, InstanceOver) and news.stopped and not news.ok


@pytest.mark.parametrize(
    ("fact", "begins"),
    [
        (opened(), True),
        (opened(S.DISCONNECTED), True),
        (opened(S.COMPLETED), False),
        (moved(S.ACTIVE, S.PAUSED), True),
        (moved(S.ACTIVE, S.AWAITING_INPUT), False),
        (moved(S.PAUSED), False),
    ],
)
def test_it_is_watched_from_when_its_silence_means_something(fact: Fact, begins: bool) -> None:
    assert watched(fact) is begins


def submitted(**of: Any) -> TaskSubmitted:
    asked = Assignment.model_validate({"prompt": "mend it", "executor": Executor.GITHUB_WORKFLOW, **of})
    return TaskSubmitted(assignment=asked, submitted_by="ann", deadline_at=NOON)


def test_a_dispatched_instance_begins_unheard_and_one_that_is_over_already_over() -> None:
    begun = opening(submitted(workflow=Workflow(agent_type="codex")), TaskStatus.ASSIGNED)
    assert begun == Opening("codex", "", "", "ann", S.DISCONNECTED, dispatched=True)
    late = opening(submitted(), TaskStatus.CANCELLED)
    assert late is not None and late.status is S.KILLED


def test_the_task_of_an_agent_that_registered_itself_says_how_its_instance_begins() -> None:
    about = {"tenant": "acme", "at": NOON, "task_id": "t1", "by": "ann", "agent_type": "claude"}
    wish = OpenInstance.model_validate({**about, "name": "the shop", "transport": "ws"})
    made = assignment(wish)
    assert (made.prompt, made.executor) == ("the shop", Executor.CALLBACK)
    task = submitted(**made.model_dump())
    assert opening(task, TaskStatus.ASSIGNED) == Opening("claude", "the shop", "ws", "ann", S.ACTIVE)
    said = SayAsInstance.model_validate({**about, "message_id": "m", "text": "hello"})
    assert opening(submitted(**assignment(said).model_dump()), TaskStatus.ASSIGNED) == Opening("claude", "", "", "ann", S.ACTIVE)


def test_other_tasks_have_no_instance() -> None:
    assert opening(submitted(executor=Executor.SANDBOX), TaskStatus.ASSIGNED) is None


def test_the_end_of_its_task_is_that_of_the_instance() -> None:
    assert ended(TaskSucceeded()) == TaskEnded(S.COMPLETED, "")
    assert ended(TaskFailed(code="DEADLINE", error="too late")) == TaskEnded(S.FAILED, "too late")
    assert ended(TaskCancelled(by="ann", reason="enough")) == TaskEnded(S.KILLED, "enough")
    assert ended(TaskStarted(attempt=1)) is None


def test_alarms_lie_at_whole_half_minutes_and_never_early() -> None:
    half = timedelta(seconds=30)
    assert rounded_up(NOON, half) == NOON
    assert rounded_up(NOON + timedelta(microseconds=1), half) == NOON + half
    assert rounded_up(NOON + timedelta(seconds=59), half) == NOON + 2 * half
