"""Going on from what went on already, from any event there is, at the same moment, and from work that was broken off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests import campaigns
from tests.flows.jobs import Job, facts, until
from tests.flows.talkers import Person, environment, person
from tests.flows.test_continue_and_fork import PROGRAM, TWO_EDITS, After, event_of, is_cloned, replace_id, shown, submitted, went_on
from trunkline.contracts.run import SnapshotKept
from trunkline.testing.repositories import git
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

FIRST = 'sh("a", "echo one > first.txt; echo kept > built.o; echo built.o > .gitignore")'
LONG = 'sh("b", "echo two > second.txt")\nopen("third.txt", "w").write("unseen")\nsay("asleep")\ntime.sleep(60)'


POINTS = ("cloned.before_effect", "cloned.after_effect", "agent_running.after_effect", "committed.after_effect", "pushed.after_effect")


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(environment(TRUNKLINE_AGENT_COMMAND=f"python3 -c '{PROGRAM}'", TRUNKLINE_TOOL_RULES="[]")) as running:
        yield running


@pytest.fixture
def ada(running: Stack) -> Person:
    return person(running, "ada", "agent")


def cancelled(ada: Person, after: After) -> Job:
    """What was gone on with, once it was cancelled in the middle of its work."""
    until(lambda: "asleep" in after.said, 30, after.task)
    assert ada.ask("POST", f"/tasks/{after.id}/cancel", {"reason": "enough"})[0] in (200, 202)
    assert after.end()["status"] == "cancelled"
    return replace_id(after.origin, after.id)


def first_event(ada: Person, job: Job) -> str:
    status, page = ada.ask("GET", f"/tasks/{UUID(job.id).hex}/events?limit=1")
    assert status == 200, page
    return str(page["events"][0]["id"])


def refused(ada: Person, job: Job, event: str) -> Any:
    status, said = ada.ask("POST", f"/tasks/{UUID(job.id).hex}/fork", {"text": "pass", "from": event})
    assert status == 400, said
    return said


def test_a_continuation_that_was_broken_off_is_continued_on_the_same_pull_request(running: Stack, ada: Person) -> None:
    job = submitted(running, FIRST)
    branch = job.succeeded()["fixBranch"]
    again = cancelled(ada, went_on(ada, job, "continue", text=LONG))

    result = went_on(ada, again, "continue", text='sh("c", "cat second.txt > fourth.txt")').succeeded()

    assert (result["branch"], result["pull_request"]) == (branch, 1)
    assert job.left() == ([branch], 1)
    assert [(shown(job, branch, f"{name}.txt") or "").strip() for name in ("first", "second", "third", "fourth")] == [
        "one",
        "two",
        "unseen",
        "two",
    ]


def test_the_last_state_of_what_was_cancelled_is_kept(running: Stack, ada: Person) -> None:
    job = submitted(running, LONG)
    job.await_said("asleep")
    assert job.cancel("enough")[0] in (200, 202)
    assert job.end()["code"] == "CANCELLED"
    assert [fact for fact in facts(running, job.id) if isinstance(fact, SnapshotKept)][-1].at_rest

    after = went_on(ada, job, "continue", text='sh("c", "echo four > fourth.txt")')
    result = after.succeeded()

    assert [shown(job, result["branch"], f"{name}.txt") for name in ("second", "third", "fourth")] == ["two", "unseen", "four"]
    assert "remembers: " in after.said and "was told" not in after.said


def test_a_fork_from_before_anything_was_done_begins_where_the_task_began(running: Stack, ada: Person) -> None:
    job = submitted(running, FIRST)
    job.succeeded()
    fork = went_on(ada, job, "fork", text='sh("b", "ls > listed.txt")', **{"from": first_event(ada, job)})
    assert not fork.answer["origin"]["conversation"]
    result = fork.succeeded()
    assert (shown(job, result["branch"], "listed.txt") or "").split() == ["README.md", "listed.txt"]
    assert "one > first" not in fork.said


def test_a_fork_from_before_a_continuation_did_anything_is_what_it_was_given(running: Stack, ada: Person) -> None:
    job = submitted(running, FIRST)
    job.succeeded()
    after = went_on(ada, job, "continue", text='sh("b", "echo two > second.txt")')
    after.succeeded()
    continued = replace_id(job, after.id)
    for event in (event_of(running, ada, continued, is_cloned), first_event(ada, continued)):
        fork = went_on(ada, continued, "fork", text='sh("c", "cat built.o > third.txt")', **{"from": event})
        assert fork.answer["origin"]["conversation"]
        result = fork.succeeded()
        assert [shown(job, result["branch"], f"{name}.txt") for name in ("first", "second", "third")] == ["one", None, "kept"]
        assert "one > first" in fork.said


def test_only_an_event_of_the_task_itself_is_forked_off(running: Stack, ada: Person) -> None:
    job, other = submitted(running, FIRST), submitted(running, FIRST)
    job.succeeded()
    other.succeeded()
    theirs = event_of(running, ada, other, is_cloned)
    epoch, _, seq = theirs.partition("-")
    for event in (theirs, f"{epoch}-{int(seq) + 10_000_000}", f"{first_event(ada, job)}.999", f"{epoch}-0"):
        assert "no event by that id" in refused(ada, job, event)["detail"], event


def test_a_branch_that_was_removed_is_said_to_be(running: Stack, ada: Person) -> None:
    job = submitted(running, FIRST)
    branch = job.succeeded()["fixBranch"]
    git(job.bare, "update-ref", "-d", f"refs/heads/{branch}")
    assert "somebody removed it" in went_on(ada, job, "continue", text="pass").failed("BRANCH_MOVED")


def test_of_two_continuations_at_once_one_is_pushed_and_the_other_can_be_forked(running: Stack, ada: Person) -> None:
    job = submitted(running, FIRST)
    branch = job.succeeded()["fixBranch"]
    both = [went_on(ada, job, "continue", text=f'sh("b", "echo {name} > {name}.txt")\ntime.sleep(2)') for name in ("red", "blue")]
    ends = {after.end()["status"]: after for after in both}
    assert set(ends) == {"completed", "failed"}
    ends["failed"].failed("BRANCH_MOVED")
    assert job.left() == ([branch], 1)
    assert len([name for name in ("red", "blue") if shown(job, branch, f"{name}.txt")]) == 1

    fork = went_on(ada, replace_id(job, ends["failed"].id), "fork", text='sh("c", "echo c > c.txt")').succeeded()
    assert fork["pull_request"] == 2
    assert len([name for name in ("red", "blue") if shown(job, fork["branch"], f"{name}.txt")]) == 1


def test_a_fork_of_a_fork_has_what_both_did(running: Stack, ada: Person) -> None:
    job = submitted(running, TWO_EDITS)
    job.succeeded()
    fork = went_on(ada, job, "fork", text='sh("c", "echo three > third.txt")')
    fork.succeeded()
    again = went_on(ada, replace_id(job, fork.id), "fork", text='sh("d", "cat built.o > fourth.txt")')
    result = again.succeeded()
    assert result["pull_request"] == 3
    names = ("first", "second", "third", "fourth")
    assert [shown(job, result["branch"], f"{name}.txt") for name in names] == ["one", "two", "three", "kept"]
    assert "two > second" in again.said and "three > third" in again.said


@pytest.mark.kill
@pytest.mark.timeout(300)
def test_a_continuation_whose_runner_is_killed_at_any_step_is_one_commit_more(running: Stack, ada: Person) -> None:
    job = submitted(running, FIRST)
    branch = job.succeeded()["fixBranch"]
    points = POINTS if campaigns.KILLS else POINTS[1::2]
    last = job
    for number, point in enumerate(points):
        running.arm(point)
        after = went_on(ada, last, "continue", text=f'sh("b", "echo {number} > {number}.txt; cat built.o >> {number}.txt")')
        result = after.succeeded()
        assert not running.armed(point)
        assert (result["branch"], result["pull_request"]) == (branch, 1), point
        assert (shown(job, branch, f"{number}.txt") or "").split() == [str(number), "kept"], point
        last = replace_id(job, after.id)
    assert git(job.bare, "rev-list", "--count", f"main..{branch}").strip() == str(1 + len(points))
    assert job.left() == ([branch], 1)


@pytest.mark.kill
@pytest.mark.skipif(not campaigns.LONG, reason="a kill at each step stands above; `make campaigns` does it")
def test_what_is_put_away_is_whole_though_its_runner_is_killed_at_the_end(running: Stack, ada: Person) -> None:
    job = submitted(running, FIRST)
    running.arm("pull_request_opened.after_record")
    branch = job.succeeded()["fixBranch"]
    assert not running.armed("pull_request_opened.after_record")
    result = went_on(ada, job, "continue", text='sh("b", "cat built.o > second.txt")').succeeded()
    assert (result["branch"], shown(job, branch, "second.txt")) == (branch, "kept")
