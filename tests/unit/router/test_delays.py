"""Tasks that begin later: nobody is asked and nobody may take them before, and time is counted from then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Fact
from trunkline.contracts.task import (
    Assignment,
    CancelTask,
    Priority,
    SubmitTask,
    TaskAssigned,
    TaskCancelled,
    TaskHeld,
    TaskSubmitted,
)
from trunkline.contracts.task_waiting import TaskDelayed
from trunkline_router.model import Cue, RetryDue, Task, decide, evolve
from trunkline_router.model.delays import begins
from trunkline_router.settings import Settings
from trunkline_router.wiring import rules_of

RULES = rules_of(Settings.model_validate({}))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)


def submit(**fields: Any) -> SubmitTask:
    asked = Assignment.model_validate({"repo": "acme/calc", "prompt": "fix it", "deadline_s": 60, "start_at": LATER, **fields})
    return SubmitTask(tenant="public", at=NOW, task_id="t1", assignment=asked, submitted_by="ann")


def told(*cues: Cue, at: datetime = NOW) -> list[Fact]:
    """What the last leads to, after the others."""
    task: Task | None = None
    facts: list[Fact] = []
    for cue in cues:
        facts = decide(task, cue, at, RULES)
        for fact in facts:
            task = evolve(task, fact, at)
    return facts


def test_a_task_for_later_is_given_to_nobody_and_its_time_counts_from_then() -> None:
    submitted, delayed = told(submit(sla_s=30))
    assert isinstance(submitted, TaskSubmitted)
    assert (submitted.deadline_at, submitted.sla_at) == (LATER + timedelta(seconds=60), LATER + timedelta(seconds=30))
    assert delayed == TaskDelayed(until=LATER)


def test_it_is_assigned_when_its_moment_comes_and_once() -> None:
    assert told(submit(), RetryDue(1)) == [TaskAssigned(pool="dev", attempt=1)]
    assert told(submit(), RetryDue(1), RetryDue(1)) == []


def test_who_must_allow_it_is_asked_when_its_moment_comes() -> None:
    urgent = submit(type="bugfix", priority=Priority.P0)
    assert not any(isinstance(fact, TaskHeld) for fact in told(urgent))
    assigned, held = told(urgent, RetryDue(1))
    assert isinstance(assigned, TaskAssigned)
    assert isinstance(held, TaskHeld)
    assert held.requested_by == "ann"


def test_whether_somebody_must_allow_it_then_is_known_from_the_start() -> None:
    gated = [told(submit(type="bugfix", priority=urgency))[1] for urgency in (Priority.P0, Priority.P2)]
    assert [fact.gated for fact in gated if isinstance(fact, TaskDelayed)] == [True, False]


def test_it_can_be_cancelled_before() -> None:
    cancel = CancelTask(tenant="public", at=NOW, task_id="t1", by="ann", reason="no")
    (end,) = told(submit(), cancel)
    assert isinstance(end, TaskCancelled)
    assert told(submit(), cancel, RetryDue(1)) == []


def test_a_moment_that_has_passed_is_now() -> None:
    assert [type(fact) for fact in told(submit(start_at=NOW - timedelta(days=400)))] == [TaskSubmitted, TaskAssigned]


@pytest.mark.parametrize(
    "fields", [{"start_at": NOW + timedelta(days=31)}, {"start_at": NOW + timedelta(days=7), "credential": "t1"}], ids=["far", "token"]
)
def test_what_lies_too_far_ahead_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        told(submit(**fields))
    assert refusal.value.code == "START_TOO_FAR"


def test_a_task_begins_while_its_facts_are_on_the_log_still() -> None:
    asked = Assignment(start_at=NOW + timedelta(days=3))
    assert begins(asked, NOW, 3600, timedelta(days=90)) == asked.start_at
    with pytest.raises(Invalid, match=r"at most 2\.33 days"):
        begins(asked, NOW, 3600, timedelta(days=7))
