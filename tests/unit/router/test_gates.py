"""What is held until somebody allows it, and what an approval, a refusal and silence lead to."""

from datetime import timedelta
from typing import Any

import pytest

from tests.each import each
from tests.unit.router.tasks import CANCEL, LATER, NOW, RULES, after, asked, digest_of, report, stored, submitted, when, word
from trunkline.contracts.approval import ApprovalDecided, DecidedBy, Verdict
from trunkline.contracts.errors import Conflict
from trunkline.contracts.task import (
    Assignment,
    CancelCause,
    Reported,
    TaskAssigned,
    TaskCancelled,
    TaskHeld,
    TaskHoldDropped,
    TaskReleased,
    TaskStatus,
    TaskSubmitted,
)
from trunkline_router.model import DeadlineReached, HoldDecided, digest, reasons
from trunkline_router.settings import Settings
from trunkline_router.wiring import rules_of

HELD = submitted(asked(priority="P1", payload={"description": "Fix  login\nbug"}))
DIGEST = digest_of(HELD)
APPROVED = word(Verdict.APPROVED, DIGEST)
PRODUCTION = {"environment": "production"}
UNFIT = TaskCancelled(
    by="trunkline",
    reason="approved was something else than what is held; look at both, and submit the task again",
    cause=CancelCause.APPROVAL_REJECTED,
)


@each(
    ("kind", "fields"),
    [
        ("bugfix", {"priority": "P0"}),
        ("documentation", {"priority": "P1"}),
        *((kind, {"payload": PRODUCTION}) for kind in ("deployment", "feature", "refactor", "deploy", "Deploy")),
        ("deployment", {"payload": {"environment": " Production"}}),
        ("monitoring", {"metadata": {"feature_flag_change": True}}),
    ],
)
def test_what_the_contract_names_is_held(kind: str, fields: dict[str, Any]) -> None:
    facts = submitted(asked(kind, **fields))
    assert [type(fact) for fact in facts] == [TaskSubmitted, TaskAssigned, TaskHeld]


@each(
    ("kind", "fields"),
    [
        ("bugfix", {}),
        ("bugfix", {"priority": "P3"}),
        ("bugfix", {"payload": PRODUCTION}),
        ("incident", {"payload": PRODUCTION}),
        ("deployment", {"payload": {"environment": "staging"}}),
        ("deployment", {"payload": {"environment": ["production"]}}),
        ("deployment", {"metadata": PRODUCTION}),
        *(("bugfix", {"metadata": {"feature_flag_change": flag}}) for flag in (False, None, 1, "true")),
    ],
)
def test_what_the_contract_does_not_name_is_not_held(kind: str, fields: dict[str, Any]) -> None:
    assert [type(fact) for fact in submitted(asked(kind, **fields))] == [TaskSubmitted, TaskAssigned]


def test_every_rule_that_holds_a_task_is_told() -> None:
    urgent = asked("feature", priority="P0", payload=PRODUCTION, metadata={"feature_flag_change": True})
    assert len(reasons(urgent, RULES.gates)) == 3


def test_rules_are_configuration() -> None:
    mine = {"reason": "Ask first.", "types": ["docs"], "priorities": ["P3"], "payload": {"size": 3}}
    gates = rules_of(Settings.model_validate({"gates": [mine]})).gates
    assert reasons(asked("docs", priority="P3", payload={"size": 3}), gates) == ("Ask first.",)
    assert reasons(asked("docs", priority="P3", payload={"size": 4}), gates) == ()
    assert reasons(asked("docs", priority="P0", payload={"size": 3}), gates) == ()
    assert rules_of(Settings.model_validate({"gates": []})).gates == ()


def test_the_hold_tells_what_is_to_be_allowed_and_is_bound_to_the_assignment_as_stored() -> None:
    hold = next(fact for fact in HELD if isinstance(fact, TaskHeld))
    assert hold.subject == "bugfix (P1) for dev_agent: Fix login bug"
    assert (hold.requested_by, hold.about["type"], hold.about["priority"], hold.about["surface"]) == ("ann", "bugfix", "P1", "orchestrator")
    assert hold.hold.digest == digest(stored(asked(priority="P1", payload={"description": "Fix  login\nbug"})))


def test_a_digest_is_of_the_exact_assignment_whatever_the_order_of_its_members() -> None:
    one = Assignment(type="bugfix", payload={"a": 1, "b": {"c": 2.5, "d": "é"}})
    other = Assignment(type="bugfix", payload={"b": {"d": "é", "c": 2.5}, "a": 1})
    assert digest(one) == digest(other) == digest(Assignment.model_validate_json(one.model_dump_json()))
    assert digest(one) != digest(one.model_copy(update={"payload": {"a": 2}}))


def test_an_approval_of_exactly_this_releases_the_task_and_its_time_begins() -> None:
    deadline_at = LATER + timedelta(seconds=RULES.agent_deadline_s)
    released = TaskReleased(approval_id="release", by="bob", deadline_at=deadline_at)
    assert when(APPROVED, *HELD, at=LATER) == [released]
    task = after(*HELD, released)
    assert task is not None
    assert (task.hold, task.deadline_at, task.status) == (None, deadline_at, TaskStatus.ASSIGNED)


@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_an_approval_of_anything_else_releases_nothing_and_does_not_leave_the_task_waiting_for_ever(digest: str) -> None:
    assert when(word(Verdict.APPROVED, digest), *HELD) == [UNFIT]


def test_an_approval_of_an_assignment_that_was_changed_in_the_log_releases_nothing() -> None:
    first = HELD[0]
    assert isinstance(first, TaskSubmitted)
    changed = first.model_copy(update={"assignment": first.assignment.model_copy(update={"prompt": "delete everything"})})
    assert when(APPROVED, changed, *HELD[1:]) == [UNFIT]


def test_a_decision_about_another_approval_of_the_task_releases_nothing() -> None:
    other = ApprovalDecided(approval_id="tool-1", verdict=Verdict.APPROVED, decided_by=DecidedBy.HUMAN, by="bob", digest=DIGEST)
    assert when(HoldDecided(other), *HELD) == []


def test_a_rejected_task_is_cancelled_with_the_reason() -> None:
    rejected = word(Verdict.REJECTED, DIGEST, reason="too risky")
    assert when(rejected, *HELD) == [TaskCancelled(by="bob", reason="too risky", cause=CancelCause.APPROVAL_REJECTED)]
    [silent] = when(word(Verdict.REJECTED, DIGEST), *HELD)
    assert isinstance(silent, TaskCancelled)
    assert silent.reason == "rejected by bob"


def test_silence_is_told_apart_from_a_refusal_and_may_also_approve() -> None:
    expired = TaskCancelled(by="timeout", reason="nobody decided in time", cause=CancelCause.APPROVAL_EXPIRED)
    assert when(word(Verdict.REJECTED, DIGEST, DecidedBy.TIMEOUT, "x"), *HELD) == [expired]
    [released] = when(word(Verdict.APPROVED, DIGEST, DecidedBy.TIMEOUT), *HELD)
    assert isinstance(released, TaskReleased)


@pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
def test_a_decision_that_comes_again_or_too_late_changes_nothing(verdict: Verdict) -> None:
    again = word(verdict, DIGEST)
    assert when(again, *HELD, *when(APPROVED, *HELD)) == []
    assert when(again, *HELD, *when(CANCEL, *HELD)) == []
    assert when(again, *submitted(asked())) == []
    assert when(again) == []


def test_a_held_task_cannot_be_begun_or_ended_by_its_agent() -> None:
    for reported in Reported:
        with pytest.raises(Conflict) as refusal:
            when(report(reported), *HELD)
        assert refusal.value.code == "HELD"
    assert [type(fact).__name__ for fact in when(report(Reported.STARTED), *HELD, *when(APPROVED, *HELD))] == ["TaskStarted"]


def test_a_held_task_is_cancelled_at_once_and_nobody_has_to_decide_any_more() -> None:
    assert when(CANCEL, *HELD) == [TaskHoldDropped(approval_id="release"), TaskCancelled(by="ann", reason="changed my mind")]


def test_a_held_task_of_ours_is_cancelled_at_once_too() -> None:
    rules = rules_of(Settings.model_validate({"routes": {"bugfix": {"pool": "dev", "executor": "sandbox"}}}))
    assert rules.routes["bugfix"].pool == "dev"
    first, *rest = HELD
    assert isinstance(first, TaskSubmitted)
    ours = first.model_copy(update={"assignment": first.assignment.model_copy(update={"executor": "sandbox", "pool": "dev"})})
    assert [type(fact) for fact in when(CANCEL, ours, *rest)] == [TaskHoldDropped, TaskCancelled]


def test_no_deadline_runs_while_a_task_is_held() -> None:
    assert when(DeadlineReached(), *HELD, at=NOW + timedelta(days=30)) == []
