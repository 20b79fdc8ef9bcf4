"""How long a forge that is away is waited for: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.sandbox.test_run_model import CLAIMED, NOW, STORY, after
from trunkline.contracts.errors import Denied, DomainError, Exhausted, Overdue, Unavailable
from trunkline.contracts.run import BranchPushed, RunFailed, RunGoesOn, RunParked, RunStopped, RunWoken, Wait
from trunkline_sandbox.model import Released, Step, claim, evolve, status_of
from trunkline_sandbox.model.patience import Patience, given_up, told_to_wait, worth_waiting

PATIENCE = Patience()
PARKED = RunParked(attempt=1, sitting=1, why=Wait.FORGE, until=NOW)
AWAY = Unavailable("It is away.", code="FORGE_UNAVAILABLE")
FULL = Unavailable("The disk is full.", code="DISK_FULL")


def test_the_pauses_grow_up_to_five_minutes() -> None:
    assert [PATIENCE.pause(parks) for parks in (0, 1, 2, 3, 4, 1000)] == [30, 60, 120, 240, 300, 300]


def test_the_limit_counts_from_the_first_time_that_it_was_put_aside() -> None:
    run = after(*(fact for fact, _ in STORY), PARKED)
    assert run is not None
    for _ in range(3):
        run = evolve(evolve(run, RunWoken(attempt=1, sitting=1), NOW), PARKED, NOW + timedelta(hours=5))
        assert run is not None
    assert (run.forge_since, run.forge_parks) == (NOW, 4)
    assert not PATIENCE.too_long(run, NOW + timedelta(hours=5), 3599)
    assert PATIENCE.too_long(run, NOW + timedelta(hours=5), 3601)
    fresh = evolve(run, RunGoesOn(attempt=1), NOW)
    assert fresh is not None and (fresh.forge_since, fresh.forge_parks) == (None, 0)


def test_a_run_that_waits_to_clone_begins_with_its_first_sitting_and_one_that_pushes_with_the_same() -> None:
    for length in (2, 7, 8):
        run = after(*(fact for fact, _ in STORY[:length]), PARKED)
        assert claim(run, Released(1, round=1), "b", "x")[-1] == RunWoken(attempt=1, sitting=1)


@pytest.mark.parametrize(
    ("step", "error", "waited"),
    [
        (Step.CLONE, AWAY, True),
        (Step.CLONE, FULL, False),
        (Step.CLONE, Overdue("It took too long.", code="GIT_OVERDUE"), False),
        (Step.PUSH, FULL, True),
        (Step.PUSH, Overdue("It took too long.", code="GIT_OVERDUE"), True),
        (Step.OPEN_PULL_REQUEST, AWAY, True),
        (Step.OPEN_PULL_REQUEST, Denied("No."), False),
    ],
)
def test_work_that_is_done_waits_for_whatever_may_mend_and_a_clone_for_a_forge_only(step: Step, error: DomainError, waited: bool) -> None:
    assert worth_waiting(step, error) is waited


def test_a_moment_that_the_forge_names_is_heard() -> None:
    assert [told_to_wait(error) for error in (AWAY, Exhausted("x", retry_after=7), Exhausted("x", retry_after="soon"))] == [0, 7, 0]


def test_who_is_given_up_is_told_how_to_go_on() -> None:
    done = after(*(fact for fact, _ in STORY[:7]))
    pushed, cloning = after(*(fact for fact, _ in STORY)), after(CLAIMED)
    assert done and pushed and cloning
    assert "`trunkline continue t1`" in given_up(AWAY, done, "t1", PATIENCE, kept=True)
    assert "6 h" in given_up(AWAY, done, "t1", PATIENCE, kept=True)
    assert "on the branch b" in given_up(AWAY, pushed, "t1", replace(PATIENCE, limit=90), kept=False)
    assert "TRUNKLINE_SNAPSHOT_DAYS" in given_up(AWAY, done, "t1", PATIENCE, kept=False)
    assert "submit the task again" in given_up(AWAY, cloning, "t1", PATIENCE, kept=True)


def test_a_commit_is_said_to_be_what_its_run_is() -> None:
    failed = RunFailed(attempt=1, code="FORGE_DENIED", error="x", recoverable=False)
    states = [status_of(facts) for facts in ([BranchPushed(branch="b", commit="c")], [failed], [RunStopped(attempt=1)], [PARKED])]
    assert [state and state[0] for state in states] == ["pending", "failure", "failure", None]
