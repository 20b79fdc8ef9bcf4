"""News of tasks that somebody else carries is passed over, and never because somebody wrote a word that looks like it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from trunkline.bus import Elsewhere, elsewhere
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.task import Assignment, Executor, TaskAssigned, TaskSubmitted, TaskSucceeded

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE, OTHER = "evt.acme.t1.task", "evt.acme.t2.task"
ENDED = TaskSucceeded(outcome={"task.submitted": "task.submitted", "executor": "bus"})


def heard(*facts: Fact) -> bytes:
    return Record(at=NOON, cause="test", facts=facts).body


def submitted(**asked: Any) -> TaskSubmitted:
    return TaskSubmitted(assignment=Assignment.model_validate(asked), submitted_by="ann", deadline_at=NOON)


def on_the_bus(asked: Assignment) -> bool:
    return asked.executor is Executor.BUS


BUS, SANDBOX = submitted(executor="bus"), submitted(prompt='"type":"task.submitted","executor":"bus"')


def test_news_of_theirs_is_passed_over_and_that_of_ours_and_of_what_was_not_heard_of_is_not() -> None:
    passed = Elsewhere(on_the_bus)
    assert not passed(ONE, heard(SANDBOX))
    assert not passed(ONE, heard(ENDED))
    assert passed(OTHER, heard(BUS, TaskAssigned(pool="dev", attempt=1)))
    assert [passed(subject, heard(ENDED)) for subject in (ONE, OTHER, "evt.globex.t2.task", "evt.acme.t3.task")] == [
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("body", [b"", b'{"task.submitted"', b'["task.submitted"]', b'{"at":"2026","facts":[{"type":"task.submitted"}]}'])
def test_what_cannot_be_read_is_left_to_whoever_acts_on_it(body: bytes) -> None:
    passed = Elsewhere(on_the_bus)
    assert not passed(ONE, body)
    assert not passed(ONE, heard(ENDED))


def test_only_so_many_are_remembered_and_the_oldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "MOST", 2)
    passed = Elsewhere(on_the_bus)
    subjects = [f"evt.acme.t{number}.task" for number in range(3)]
    for subject in subjects:
        assert passed(subject, heard(BUS))
    assert [passed(subject, heard(ENDED)) for subject in subjects] == [False, True, True]
