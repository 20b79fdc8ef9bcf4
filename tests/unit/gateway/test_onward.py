"""What a task goes on from: of one that went on itself, of one that was broken off, and of one that never began."""

from __future__ import annotations

import pytest

from tests.unit.gateway.test_kept import AT, claimed, cloned, snapshot, told
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Conflict
from trunkline.contracts.record import Event
from trunkline.contracts.run import BranchPushed, ChangesCommitted
from trunkline.contracts.task import Assignment, Onward, Origin, TaskStatus
from trunkline.contracts.views import TaskView
from trunkline_gateway.usecases.onward import MOST_EARLIER, MOST_TOLD, continued, forked

COMMITTED = ChangesCommitted(branch="trunkline/own", commit="c", files_changed=1, additions=1, deletions=0)
EARLIER = Origin(
    task="t0",
    onward=Onward.CONTINUE,
    attempt=2,
    snapshot="2-1-7-ab",
    commit="k",
    base="p",
    session="s-0",
    branch="trunkline/x",
    pushed="p",
    asked="fix the login",
    summary="fixed it",
)


def view(origin: Origin | None = None, prompt: str = "add a test") -> TaskView:
    return TaskView(
        task_id="t1",
        tenant="acme",
        seq=1,
        assignment=Assignment(repo="acme/calc", prompt=prompt, origin=origin),
        status=TaskStatus.CANCELLED,
        submitted_by="ada",
        submitted_at=AT,
        updated_at=AT,
    )


def test_a_continuation_that_was_broken_off_leaves_its_branch_to_the_next() -> None:
    found = continued(view(EARLIER), told(claimed(), cloned("p"), snapshot("one"))).origin
    assert (found.branch, found.pushed, found.base, found.snapshot, found.task) == ("trunkline/x", "p", "p", "one", "t1")
    assert found.asked == "fix the login\n\nThen:\nadd a test"


def test_a_continuation_that_pushed_says_where_the_branch_is_now() -> None:
    events = told(claimed(), cloned("p"), snapshot("one"), COMMITTED, BranchPushed(branch="trunkline/x", commit="c"))
    found = continued(view(EARLIER), events).origin
    assert (found.branch, found.pushed, found.base) == ("trunkline/x", "c", "c")


@pytest.mark.parametrize("events", [told(claimed(), cloned("p")), told(claimed())], ids=["cloned", "not even that"])
def test_one_that_did_nothing_hands_on_what_it_was_given(events: list[Event]) -> None:
    assert continued(view(EARLIER), events).origin == EARLIER
    fork = forked(view(EARLIER), events, Cursor("e", 10)).origin
    assert fork == EARLIER.model_copy(update={"onward": Onward.FORK, "branch": "", "pushed": ""})
    assert forked(view(EARLIER), events, None).kept.session == "s-0"


def test_a_continued_fork_has_a_branch_of_its_own() -> None:
    fork = EARLIER.model_copy(update={"onward": Onward.FORK, "branch": "", "pushed": ""})
    found = continued(view(fork), told(claimed(), cloned("p"), snapshot("one"))).origin
    assert (found.onward, found.branch, found.pushed) == (Onward.CONTINUE, "", "")


def test_before_anything_was_cloned_a_fork_begins_where_the_task_began() -> None:
    events = told(claimed(), cloned("base"), snapshot("one"))
    found = forked(view(), events, Cursor("e", 10)).origin
    assert (found.commit, found.base, found.snapshot, found.session, found.asked) == ("base", "base", "", "", "")


def test_of_a_task_that_was_never_cloned_nothing_is_kept() -> None:
    for events in ([], told(claimed())):
        with pytest.raises(Conflict) as refused:
            continued(view(), events)
        assert refused.value.code == "NOTHING_KEPT"


def test_what_was_asked_before_is_cut_first() -> None:
    long = EARLIER.model_copy(update={"asked": "x" * MOST_TOLD})
    found = continued(view(long, prompt="now" * 10), told(claimed(), cloned("p"), snapshot("one"))).origin
    assert len(found.asked) == MOST_TOLD and found.asked.endswith("now" * 10)


def test_everybody_whose_work_is_on_the_branch_is_remembered() -> None:
    events = told(claimed(), cloned("p"), snapshot("one"), COMMITTED, BranchPushed(branch="trunkline/x", commit="c"))
    assert continued(view(), events).origin.earlier == ()
    assert continued(view(EARLIER), events).origin.earlier == ("t0",)
    third = EARLIER.model_copy(update={"earlier": tuple(f"e{number}" for number in range(MOST_EARLIER))})
    assert continued(view(third), events).origin.earlier == (*third.earlier[1:], "t0")
    for forked_off in (forked(view(third), events, None), continued(view(third.model_copy(update={"onward": Onward.FORK})), events)):
        assert forked_off.origin.earlier == ()
