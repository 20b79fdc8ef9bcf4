"""A task that is held tighter than the settings hold it, over HTTP and to the agent; and one that goes on from it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from tests.flows.jobs import Job
from tests.flows.talkers import Person, awaited, committed, environment, given, of, person
from trunkline.contracts.run import AgentEnded, AgentOutput, ApprovalWanted
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

CALLS = """
for n, command in enumerate(["touch asked.txt", "touch denied.txt", "touch free.txt"]): ask("c%d" % n, command)
"""
RULES = [
    {"tool": "Shell", "argument": "*asked*", "then": "ask"},
    {"tool": "Shell", "argument": "*denied*", "then": "deny", "reason": "not in this task"},
]


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(environment(TRUNKLINE_TOOL_RULES="[]"), *ONE_PROCESS) as running:
        yield running


@pytest.fixture
def ada(running: Stack) -> Person:
    return person(running, "ada", "agent")


def done(running: Stack, ada: Person, **terms: object) -> Job:
    """A job that made its calls; what was asked was allowed."""
    job = given(running, CALLS, **terms)
    if terms:
        ada.approve(job, awaited(job, ApprovalWanted).approval_id)
    job.succeeded()
    return job


def test_rules_of_one_task_hold_that_task_and_no_other(running: Stack, ada: Person) -> None:
    held, free = done(running, ada, toolRules=RULES), done(running, ada)

    assert [committed(held, f"{name}.txt") is not None for name in ("asked", "denied", "free")] == [True, False, True]
    assert "refused: not in this task" in held.said
    assert len(of(held, ApprovalWanted)) == 1
    assert [committed(free, f"{name}.txt") is not None for name in ("asked", "denied", "free")] == [True, True, True]
    assert of(free, ApprovalWanted) == []


def test_what_goes_on_is_held_by_the_same_rules_and_by_more(running: Stack, ada: Person) -> None:
    job = done(running, ada, toolRules=RULES, budgetUsd=3)
    more = {"tool": "Shell", "argument": "*free*", "then": "deny"}
    said = ada.tell(job, "continue", {"text": CALLS, "tool_rules": [more], "budget_usd": 9})

    task = said["task"]
    assert task["budget_usd"] == 3.0
    assert task["tool_rules"] == [{"reason": "", **rule} for rule in (*RULES, more)]
    after = Job(running, job.repo, str(UUID(said["task_id"].removeprefix("task_"))))
    ada.approve(after, awaited(after, ApprovalWanted).approval_id)
    awaited(after, AgentEnded)
    told = [fact.text for fact in of(after, AgentOutput) if fact.text.startswith("refused: ")]
    assert told == ["refused: not in this task", "refused: a rule denies it"]
