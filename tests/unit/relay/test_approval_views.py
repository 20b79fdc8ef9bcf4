"""How approvals look from outside: the queue of the open ones, the history of the others, and the tasks that wait for them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.relay.timelines import NOON, Line, asked, decided, held, line
from tests.unit.relay.views import approvals, folded, waiting
from trunkline.contracts.approval import (
    ApprovalEscalated,
    ApprovalOverdue,
    ApprovalVoted,
    ApprovalWithdrawn,
    DecidedBy,
    Verdict,
)
from trunkline.contracts.approval_views import ApprovalView
from trunkline.contracts.calls import Allowance, Scope
from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Fact
from trunkline.contracts.task import CancelCause, TaskCancelled, TaskHoldDropped, TaskReleased, TaskStatus
from trunkline_relay.adapters.sqlite_views import SqliteViews

DROPPED = (TaskHoldDropped(approval_id="release"), TaskCancelled(by="ann", reason="never mind"))


def one(views: SqliteViews, task: str = "t1", name: str = "release") -> ApprovalView:
    view = views.approval("acme", task, name)
    assert view is not None
    return view


def at(seq: int, *facts: Fact) -> Line:
    return line(seq, "t1", "approval-release", *facts)


def test_a_question_is_open_as_it_was_asked() -> None:
    view = one(folded(held(1, "t1", kind="task", about={"type": "deploy"})))

    assert (view.status, view.subject, view.digest, view.requested_by) == ("pending", "Deploy.", "d1", "ann")
    assert (view.about, view.requested_at, view.seq) == ({"type": "deploy"}, NOON + timedelta(seconds=2), 2)


def test_votes_escalation_and_lateness_show_before_the_decision() -> None:
    vote = ApprovalVoted(approval_id="release", verdict=Verdict.APPROVED, by="eve", reason="fine")
    moved = ApprovalEscalated(approval_id="release", stage=1, expires_at=NOON + timedelta(days=1))
    views = folded([*held(1, "t1"), at(3, vote), at(4, moved), at(5, ApprovalOverdue(approval_id="release"))], 1)

    view = one(views)
    assert (view.open, [vote.by for vote in view.votes], view.stage, view.overdue) == (True, ["eve"], 1, True)
    assert waiting(approvals(views)) == ["t1/release"]

    view = one(folded([decided(6, "t1", Verdict.APPROVED)], views=views))
    assert (view.status, [vote.by for vote in view.votes], view.decided_by) == ("approved", ["eve", "bob"], DecidedBy.HUMAN)
    assert view.decided_at == NOON + timedelta(seconds=6)


def test_a_decided_question_stays_as_it_was_decided() -> None:
    views = folded([*held(1, "t1"), decided(3, "t1", Verdict.REJECTED, by=DecidedBy.TIMEOUT)])
    before = one(views)

    folded([decided(4, "t1", Verdict.APPROVED), at(5, ApprovalWithdrawn(approval_id="release")), asked(6, "t1")], 1, views)

    assert one(views) == before
    assert (before.status, before.decided_by, before.votes) == ("rejected", DecidedBy.TIMEOUT, ())


def test_what_those_who_agree_mean_shows_before_the_decision_and_only_what_was_decided_after_it() -> None:
    for_run = Allowance(scope=Scope.RUN)
    vote = ApprovalVoted(approval_id="release", verdict=Verdict.APPROVED, by="eve", allowance=for_run)
    against = ApprovalVoted(approval_id="release", verdict=Verdict.REJECTED, by="cid")
    story = [*held(1, "t1"), at(3, vote), at(4, against)]
    assert one(folded(story)).allowance == for_run
    assert one(folded([*story, decided(5, "t1", Verdict.REJECTED)])).allowance is None


def test_open_ones_come_as_the_oldest_and_ended_ones_as_the_last_decided_comes_first() -> None:
    log = [entry for number in range(1, 7) for entry in held(2 * number, f"t{number}")]
    ends = [decided(20, "t2", Verdict.APPROVED), decided(21, "t6", Verdict.REJECTED), decided(22, "t1", Verdict.APPROVED)]
    views = folded([*log, *ends])

    assert waiting(approvals(views)) == ["t3/release", "t4/release", "t5/release"]
    assert waiting(approvals(views, open=False)) == ["t1/release", "t6/release", "t2/release"]
    assert (approvals(views).total, approvals(views, open=False, limit=1).total) == (3, 3)


def test_a_list_is_filtered_by_task_kind_and_requester() -> None:
    tool = asked(5, "t1", "call-1", kind="tool_call", requested_by="agent")
    views = folded([*held(1, "t1"), *held(3, "t2"), tool, decided(6, "t2", Verdict.APPROVED)])

    assert waiting(approvals(views, task_id="t1")) == ["t1/release", "t1/call-1"]
    assert waiting(approvals(views, kind="tool_call")) == ["t1/call-1"]
    assert waiting(approvals(views, task_id="t1", requested_by="ann")) == ["t1/release"]
    assert waiting(approvals(views, open=False, task_id="t2", kind="task")) == ["t2/release"]
    assert approvals(views, open=False, task_id="t1").total == 0


@pytest.mark.parametrize("open", [True, False])
def test_page_by_page_every_approval_is_met_once_while_new_ones_come(open: bool) -> None:
    def both(number: int) -> list[Line]:
        return [*held(10 * number, f"t{number:02}"), *([] if open else [decided(10 * number + 5, f"t{number:02}", Verdict.APPROVED)])]

    views, met, after, last = folded([entry for number in range(1, 24) for entry in both(number)]), list[str](), None, 23
    while True:
        page = approvals(views, open=open, limit=5, after=after)
        met += waiting(page)
        if (after := page.next) is None:
            break
        last += 1
        folded(both(last) if last < 30 else [], views=views)

    assert len(met) == len(set(met))
    assert {f"t{number:02}/release" for number in range(1, 24)} <= set(met)


@pytest.mark.parametrize("cursor", ["", "ended.1.t1.release", "open.1.t1", "newest.1.t1", "open.1.t1.a b", "open.one.t1.release"])
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        approvals(folded([]), after=cursor)
    assert refusal.value.code == "BAD_CURSOR"


def test_nothing_of_another_tenant_is_on_any_list_of_approvals() -> None:
    views = folded(
        [*held(1, "t1"), *held(3, "t9", tenant="umbrella", subject="canary"), *held(5, "t1", tenant="umbrella", subject="canary")]
    )

    assert views.approval("acme", "t9", "release") is None
    assert one(views).subject == "Deploy."
    for query in ({}, {"task_id": "t9"}, {"task_id": "t1"}, {"kind": "task"}, {"requested_by": "ann"}):
        assert "canary" not in approvals(views, **query).model_dump_json()
    assert approvals(views).total == 1
    assert approvals(views, "umbrella").total == 2


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_approvals_do_not_depend_on_the_batches(batch: int) -> None:
    log = [
        *held(1, "t1"),
        *held(3, "t2"),
        decided(5, "t1", Verdict.APPROVED),
        asked(6, "t1", "call-1"),
        decided(7, "t1", Verdict.REJECTED, "call-1"),
    ]
    whole, cut = folded(log), folded(log, batch)

    assert approvals(cut) == approvals(whole)
    assert approvals(cut, open=False) == approvals(whole, open=False)


@pytest.mark.parametrize(
    ("then", "status", "approval"),
    [
        ([], TaskStatus.ASSIGNED, "pending"),
        ([decided(3, "t1", Verdict.APPROVED)], TaskStatus.ASSIGNED, "approved"),
        ([line(3, "t1", "task", TaskReleased(approval_id="release", by="bob", deadline_at=NOON))], TaskStatus.ASSIGNED, "approved"),
        (
            [
                decided(3, "t1", Verdict.REJECTED),
                line(4, "t1", "task", TaskCancelled(by="bob", reason="no", cause=CancelCause.APPROVAL_REJECTED)),
            ],
            TaskStatus.CANCELLED,
            "rejected",
        ),
        ([line(3, "t1", "task", *DROPPED)], TaskStatus.CANCELLED, "withdrawn"),
        ([line(3, "t1", "task", *DROPPED), decided(4, "t1", Verdict.APPROVED)], TaskStatus.CANCELLED, "approved"),
        ([decided(3, "t1", Verdict.APPROVED), line(4, "t1", "task", *DROPPED)], TaskStatus.CANCELLED, "approved"),
        ([asked(3, "t1", "call-1"), decided(4, "t1", Verdict.REJECTED, "call-1")], TaskStatus.ASSIGNED, "pending"),
    ],
    ids=["waits", "approved", "released", "rejected", "ended otherwise", "decided too late", "decided before it ended", "another approval"],
)
def test_a_task_shows_how_the_approval_stands_that_holds_it(then: list[Line], status: TaskStatus, approval: str) -> None:
    view = folded([*held(1, "t1"), *then], 1).task("acme", "t1")

    assert view is not None
    assert (view.status, view.approval_id, view.approval_status) == (status, "release", approval)
