"""Which snapshot a task goes on from: the newest at or before an event, whatever else was told."""

from __future__ import annotations

from datetime import UTC, datetime

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Event
from trunkline.contracts.run import AgentStarted, BranchPushed, ChangesCommitted, RepositoryCloned, RunClaimed, SnapshotKept
from trunkline_gateway.usecases.kept import left

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def told(*facts: Fact) -> list[Event]:
    """At the sequences 10, 20, …"""
    places = (Cursor("e", 10 * number) for number in range(1, len(facts) + 1))
    return [Event(place, TenantId("acme"), TaskId("t1"), "run", AT, fact) for place, fact in zip(places, facts, strict=True)]


def claimed(attempt: int = 1) -> RunClaimed:
    return RunClaimed(attempt=attempt, owner="me")


def cloned(commit: str = "base") -> RepositoryCloned:
    return RepositoryCloned(branch="main", commit=commit)


def snapshot(name: str, attempt: int = 1, session: str = "s-1") -> SnapshotKept:
    return SnapshotKept(attempt=attempt, sitting=1, line=1, snapshot=name, commit=f"c-{name}", session=session)


RUN = told(claimed(), cloned(), AgentStarted(agent="claude"), snapshot("one"), snapshot("two"))


def test_the_newest_of_all_is_taken_when_no_event_is_named() -> None:
    found = left(RUN)
    assert found.kept and (found.kept.snapshot, found.kept.commit, found.kept.base, found.kept.session) == ("two", "c-two", "base", "s-1")
    assert (found.agent, found.branch, found.pushed) == ("claude", "", "")


def test_the_newest_at_or_before_an_event_is_taken() -> None:
    names = [kept.snapshot if (kept := left(RUN, Cursor("e", seq)).kept) else None for seq in (19, 20, 39, 40, 49, 50, 99)]
    assert names == [None, "", "", "one", "one", "two", "two"]


def test_before_the_agent_began_it_is_the_repository_as_it_was_cloned() -> None:
    kept = left(RUN, Cursor("e", 35)).kept
    assert kept and (kept.snapshot, kept.commit, kept.base, kept.session) == ("", "base", "base", "")


def test_another_attempt_begins_anew() -> None:
    events = told(claimed(), cloned(), snapshot("one"), claimed(2), cloned("other"))
    kept = left(events).kept
    assert kept and (kept.attempt, kept.snapshot, kept.commit) == (2, "", "other")
    again = left([*events, *told(*[claimed(2)] * 5, snapshot("three", 2))[5:]]).kept
    assert again and (again.attempt, again.snapshot, again.base) == (2, "three", "other")


def test_a_snapshot_that_lacks_some_of_what_was_committed_is_not_taken_for_the_work() -> None:
    committed = ChangesCommitted(branch="trunkline/x", commit="c", files_changed=1, additions=1, deletions=0)
    assert left(RUN).work == "c-two"
    assert left(told(claimed(), cloned(), snapshot("one"), committed)).work == "c"
    assert left(told(claimed(), cloned(), committed)).work == "c"
    at_rest = snapshot("one").model_copy(update={"at_rest": True})
    assert left(told(claimed(), cloned(), at_rest, committed)).work == "c-one"


def test_a_branch_counts_as_pushed_when_it_was() -> None:
    committed = ChangesCommitted(branch="trunkline/x", commit="c", files_changed=1, additions=1, deletions=0)
    events = [*RUN, *told(*[claimed()] * 5, committed, BranchPushed(branch="trunkline/x", commit="c"))[5:]]
    assert (left(events[:6]).branch, left(events[:6]).pushed) == ("trunkline/x", "")
    assert left(events).pushed == "c"
