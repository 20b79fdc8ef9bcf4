"""How dispatches look from outside: tried, accepted, running, over, given up; and which of them a run may be of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.relay.timelines import NOON, Line, line, submitted
from tests.unit.relay.views import folded
from trunkline.contracts.dispatch import (
    DispatchGivenUp,
    DispatchTried,
    DispatchWanted,
    InstanceKeyRevoked,
    KeyMinted,
    Outcome,
    SeenBy,
    WorkflowCancelTried,
    WorkflowRun,
    WorkflowRunSeen,
)
from trunkline.contracts.dispatch_views import MOST_TRIES, DispatchPage, DispatchView, ListDispatches
from trunkline.contracts.instance import InstanceSaid
from trunkline.contracts.message import Fact
from trunkline.contracts.task import TaskAssigned, Visibility
from trunkline_relay.adapters.sqlite_views import SqliteViews

KEY = KeyMinted(key_id="0" * 16, sha256="ab" * 32, expires_at=datetime(2026, 5, 9, tzinfo=UTC))


def wanted(repo: str = "Acme/Shop.git") -> DispatchWanted:
    return DispatchWanted(attempt=1, repo=repo, event_type="omnara_trigger", branch="main", agent_type="general", key=KEY)


def tried(outcome: Outcome, number: int = 1, **of: Any) -> DispatchTried:
    return DispatchTried(number=number, outcome=outcome, **of)


def seen(status: str, conclusion: str = "", run: int = 7) -> WorkflowRunSeen:
    news = WorkflowRun(run_id=run, url=f"http://forge/runs/{run}", status=status, conclusion=conclusion)
    return WorkflowRunSeen(attempt=1, run=news, how=SeenBy.LISTING)


def said(seq: int, *facts: Fact, task: str = "t1", tenant: str = "acme") -> Line:
    return line(seq, task, "dispatch", *facts, tenant=tenant)


def begun(seq: int, task: str = "t1", tenant: str = "acme", repo: str = "Acme/Shop.git", **assignment: Any) -> list[Line]:
    made = line(seq, task, "task", submitted(**assignment), TaskAssigned(pool="github", attempt=1), tenant=tenant)
    return [made, said(seq + 1, wanted(repo), task=task, tenant=tenant)]


def one(views: SqliteViews, task: str = "t1") -> DispatchView:
    view = views.dispatch("acme", task)
    assert view is not None
    return view


def listed(views: SqliteViews, repo: str = "acme/shop", **of: Any) -> DispatchPage:
    return views.dispatches(ListDispatches.model_validate({"tenant": "acme", "at": NOON, "repo": repo, **of}))


def names(page: DispatchPage) -> list[str]:
    return [view.task_id for view in page.dispatches]


def test_what_is_wanted_shows_with_its_key_but_not_the_text_of_it() -> None:
    view = one(folded(begun(1)))

    assert (view.status, view.repo, view.shown_repo, view.branch) == ("wanted", "acme/shop", "Acme/Shop.git", "main")
    assert (view.key, view.revoked_at, view.tries, view.run) == (KEY, None, (), None)
    assert (view.wanted_at, view.updated_at, view.seq) == (NOON + timedelta(seconds=2), NOON + timedelta(seconds=2), 2)


def test_of_each_try_it_shows_what_came_of_it() -> None:
    failed = [said(3, tried(Outcome.BEGUN)), said(4, tried(Outcome.CONNECTION_ERROR, error="no route"))]
    went = [said(5, tried(Outcome.BEGUN, 2)), said(6, tried(Outcome.ACCEPTED, 2, status=204))]
    view = one(folded([*begun(1), *failed, *went]))

    assert [(each.number, each.outcome, each.error, each.status) for each in view.tries] == [
        (1, Outcome.CONNECTION_ERROR, "no route", None),
        (2, Outcome.ACCEPTED, "", 204),
    ]
    assert (view.status, view.updated_at, view.seq) == ("accepted", NOON + timedelta(seconds=6), 6)


def test_only_the_newest_tries_are_shown() -> None:
    view = one(folded([*begun(1), *(said(3 + n, tried(Outcome.ERROR, n + 1)) for n in range(MOST_TRIES + 5))]))

    assert [each.number for each in view.tries] == list(range(6, MOST_TRIES + 6))


@pytest.mark.parametrize(
    ("news", "status", "conclusion"),
    [(seen("queued"), "running", ""), (seen("in_progress"), "running", ""), (seen("completed", "failure"), "over", "failure")],
)
def test_a_run_shows_as_it_stands(news: WorkflowRunSeen, status: str, conclusion: str) -> None:
    view = one(folded([*begun(1), said(3, tried(Outcome.ACCEPTED)), said(4, news)]))

    assert view.run is not None
    assert (view.status, view.run.run_id, view.run.conclusion) == (status, 7, conclusion)


def test_what_was_given_up_says_why_and_its_key_is_revoked() -> None:
    gone = DispatchGivenUp(attempt=1, code="DISPATCH_REFUSED", error="404: Not Found")
    view = one(folded([*begun(1), said(3, gone), said(4, InstanceKeyRevoked(key_id=KEY.key_id, why="task failed"))]))

    assert (view.status, view.code, view.error) == ("given_up", "DISPATCH_REFUSED", "404: Not Found")
    assert view.revoked_at == NOON + timedelta(seconds=4)


def test_what_an_acceptance_comes_too_late_for_stays_as_it_is() -> None:
    view = one(folded([*begun(1), said(3, seen("in_progress")), said(4, tried(Outcome.ACCEPTED))]))

    assert view.status == "running"


def test_a_cancel_that_failed_says_so_and_one_that_went_says_nothing() -> None:
    cancel = WorkflowCancelTried(attempt=1, run_id=7, number=1, outcome=Outcome.ERROR, error="503")
    views = folded([*begun(1), said(3, seen("in_progress")), said(4, cancel)])
    assert (one(views).status, one(views).error) == ("running", "503")

    before = one(views)
    folded([said(5, cancel.model_copy(update={"number": 2, "outcome": Outcome.ACCEPTED, "error": ""}))], views=views)
    assert one(views) == before


def test_facts_of_other_parts_and_before_the_beginning_make_no_dispatch() -> None:
    spoken = line(2, "t1", "instance", InstanceSaid(message_id="m", text="hello"))
    views = folded([line(1, "t1", "task", submitted()), spoken, said(3, seen("queued"))])

    assert views.dispatch("acme", "t1") is None
    assert listed(views).total == 0


def test_a_repository_lists_its_newest_first_and_nobody_elses() -> None:
    views = folded(
        [*begun(1, "t1"), *begun(3, "t2"), *begun(5, "t3", tenant="umbrella"), *begun(7, "t4", repo="acme/other"), *begun(9, "t5")]
    )

    assert names(listed(views)) == ["t5", "t2", "t1"]
    assert names(listed(views, "ACME/Shop/", limit=2)) == ["t5", "t2"]
    assert listed(views, limit=2).total == 3
    assert names(listed(views, "", task_id="t4")) == ["t4"]
    assert names(listed(views, "", task_id="t3")) == []


def test_what_is_its_owners_alone_is_left_out_for_others() -> None:
    views = folded([*begun(1, "t1"), *begun(3, "t2", by="ann", visibility=Visibility.OWNER)])

    assert names(listed(views, seen_by="bob")) == ["t1"]
    assert names(listed(views, seen_by="ann")) == ["t2", "t1"]
    assert names(listed(views, "", task_id="t2", seen_by="bob")) == []
    assert names(listed(views)) == ["t2", "t1"]


def test_a_run_leads_to_its_dispatch_and_to_no_other_tenants() -> None:
    views = folded([*begun(1), said(3, seen("queued", run=42))])

    found = views.dispatch_of_run("acme", "ACME/shop", 42)
    assert found is not None and found.task_id == "t1"
    assert views.dispatch_of_run("acme", "acme/shop", 43) is None
    assert views.dispatch_of_run("umbrella", "acme/shop", 42) is None


def test_sought_is_what_was_accepted_and_whose_run_nobody_has_seen() -> None:
    accepted = tried(Outcome.ACCEPTED)
    gone = DispatchGivenUp(attempt=1, code="RUN_NOT_STARTED", error="")
    lines = [line for n in range(4) for line in begun(1 + 2 * n, f"t{n}")]
    lines += [said(20 + n, accepted, task=f"t{n}") for n in range(3)]
    lines += [said(30, seen("queued"), task="t0"), said(31, gone, task="t1")]

    assert [view.task_id for view in folded(lines).open_dispatches("acme", "acme/shop")] == ["t2"]


def test_the_views_do_not_depend_on_how_the_log_was_cut() -> None:
    log = [
        *begun(1),
        said(3, tried(Outcome.BEGUN)),
        said(4, tried(Outcome.ACCEPTED)),
        said(5, seen("queued")),
        said(6, seen("completed", "success")),
    ]

    assert one(folded(log, 1)) == one(folded(log)) == one(folded(log[3:], views=folded(log[:3])))
