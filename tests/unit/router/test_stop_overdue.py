"""A stop that nobody confirmed ends the task only when the run cannot be publishing."""

import pytest

from trunkline.contracts.run import BranchPushed, ChangesCommitted, RunClaimed, RunFailed, RunGoesOn, RunStopped, RunWaits, Wait
from trunkline_router.handlers.stop_overdue import publishing

CLAIMED = RunClaimed(attempt=1, owner="a")
COMMITTED = ChangesCommitted(branch="b", commit="c", files_changed=1, additions=1, deletions=0)


def test_a_run_that_was_never_taken_or_still_works_publishes_nothing() -> None:
    assert not publishing([])
    assert not publishing([CLAIMED])


def test_a_run_that_has_committed_may_be_publishing_whoever_owns_it_now() -> None:
    assert publishing([CLAIMED, COMMITTED])
    assert publishing([CLAIMED, COMMITTED, BranchPushed(branch="b", commit="c"), RunClaimed(attempt=1, owner="b")])


def test_a_run_that_ended_publishes_nothing_any_more() -> None:
    assert not publishing([CLAIMED, COMMITTED, RunFailed(attempt=1, code="X", error="x", recoverable=False)])
    assert not publishing([CLAIMED, COMMITTED, RunStopped(attempt=1)])


@pytest.mark.parametrize("why", [Wait.PUSH, Wait.PULL_REQUESTS])
def test_a_run_that_waits_to_be_allowed_to_push_has_not_pushed(why: Wait) -> None:
    assert not publishing([CLAIMED, COMMITTED, RunWaits(attempt=1, why=why)])
    assert publishing([CLAIMED, COMMITTED, RunWaits(attempt=1, why=why), RunGoesOn(attempt=1)])


def test_a_run_that_waits_for_the_forge_may_have_pushed() -> None:
    assert publishing([CLAIMED, COMMITTED, RunWaits(attempt=1, why=Wait.FORGE)])
