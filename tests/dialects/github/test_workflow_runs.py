"""Runs of workflows, as GitHub tells of them: passed on to whoever follows them, when they can be ours."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.dialects.github.test_webhooks import PATH, REPOSITORY, SECRET, told
from tests.dialects.world import World, talking
from trunkline.contracts.dispatch import ReportWorkflowRun, SeenBy
from trunkline.contracts.errors import NotFound, Unavailable
from trunkline.testing.fake_actions import Actions

TASK = "01a1fe1a15477676b883dd25f2dda5a4"
NAME = "01a1fe1a-1547-7676-b883-dd25f2dda5a4"
RUN = {
    "id": 9_000_000_001,
    "run_attempt": 2,
    "event": "repository_dispatch",
    "status": "completed",
    "conclusion": "success",
    "display_title": f"omnara {NAME.upper()}",
    "html_url": "https://github.com/acme/shop/actions/runs/9000000001",
    "created_at": "2026-11-22T12:00:00Z",
}


def ran(action: str = "completed", **more: Any) -> dict[str, Any]:
    sender = {"login": "github-actions[bot]", "type": "Bot"}
    return {"action": action, "workflow_run": {**RUN, **more}, "repository": REPOSITORY, "sender": sender}


@pytest.mark.parametrize(("action", "status"), [("requested", "queued"), ("in_progress", "in_progress"), ("completed", "completed")])
async def test_news_of_a_run_is_told_with_the_task_that_its_title_names(action: str, status: str) -> None:
    world, conclusion = World(), "failure" if status == "completed" else None
    async with talking(world) as session:
        answered = await told(session, "workflow_run", ran(action, status=status, conclusion=conclusion))
    assert answered == (202, {"status": "noted", "task_id": TASK})
    (report,) = world.sent
    assert isinstance(report, ReportWorkflowRun)
    assert (report.tenant, report.task_id, report.repo, report.how) == ("acme", TASK, "acme/shop", SeenBy.WEBHOOK)
    assert (report.run.run_id, report.run.run_attempt, report.run.status) == (9_000_000_001, 2, status)
    assert report.run.conclusion == (conclusion or "")


async def test_a_run_without_a_name_is_told_by_its_number_alone() -> None:
    world = World()
    async with talking(world) as session:
        assert await told(session, "workflow_run", ran(display_title="omnara_trigger")) == (202, {"status": "noted"})
    (report,) = world.sent
    assert isinstance(report, ReportWorkflowRun)
    assert report.task_id == "-"


async def test_a_run_that_nobody_of_ours_started_is_passed_over() -> None:
    world = World(refusal=NotFound("nothing of ours started that run", code="RUN_NOT_OURS"))
    async with talking(world) as session:
        status, said = await told(session, "workflow_run", ran())
    assert (status, said["status"]) == (202, "ignored")


@pytest.mark.parametrize("payload", [ran(event="push"), ran("edited"), {"action": "completed", "repository": REPOSITORY}])
async def test_what_cannot_be_ours_is_not_even_asked_about(payload: dict[str, Any]) -> None:
    world = World()
    async with talking(world) as session:
        status, said = await told(session, "workflow_run", payload)
    assert (status, said["status"], world.sent) == (202, "ignored", [])


@pytest.mark.parametrize("more", [{"id": 0}, {"id": "one"}, {"status": "x" * 65}, {"run_attempt": 0}, {"created_at": "yesterday"}])
async def test_a_run_that_is_none_has_one_clear_error(more: dict[str, Any]) -> None:
    world = World()
    async with talking(world) as session:
        status, said = await told(session, "workflow_run", ran(**more))
    assert (status, set(said), world.sent) == (400, {"message"}, [])


async def test_a_repository_that_no_tenant_is_named_for_is_passed_over_with_its_runs() -> None:
    world = World()
    async with talking(world) as session:
        status, said = await told(session, "workflow_run", {**ran(), "repository": {"full_name": "stranger/shop"}})
    assert (status, said["status"], world.sent) == (202, "ignored", [])


async def test_while_the_bus_is_away_github_is_told_to_send_the_news_again() -> None:
    async with talking(World(refusal=Unavailable("the bus is away; try again in a moment"))) as session:
        assert (await told(session, "workflow_run", ran()))[0] == 503


async def test_our_own_stand_in_tells_of_runs_as_it_is_understood() -> None:
    world, actions = World(), Actions(time.time)
    async with talking(world) as session:
        actions.tell(str(session._build_url(PATH)), SECRET)
        run = actions.add("acme/shop", f"omnara {NAME}")
        await actions.advance(run, "in_progress")
        await actions.advance(run, "completed", "success")
    assert actions.told == [("in_progress", 202), ("completed", 202)]
    assert [report.run.conclusion for report in world.sent if isinstance(report, ReportWorkflowRun)] == ["", "success"]
