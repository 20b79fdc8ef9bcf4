"""Workflows at GitHub that are started for tasks: from the assignment to the conclusion, and every way to fail between them."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.flows.dispatch_desk import ACME, KEY, QUICK, Desk, desk, settings
from trunkline.auth.instance_keys import InstanceKeys
from trunkline.bus import vault_key
from trunkline.contracts import subjects
from trunkline.contracts.dispatch import (
    COMPLETED,
    DispatchGivenUp,
    DispatchTried,
    DispatchWanted,
    InstanceKeyRevoked,
    Outcome,
    SeenBy,
    WorkflowCancelTried,
    WorkflowRunSeen,
    WorkflowRunTold,
)
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, wire_id
from trunkline.contracts.task import (
    Hold,
    StopCause,
    TaskCancelled,
    TaskFailed,
    TaskHeld,
    TaskReleased,
    TaskStopRequested,
    TaskSucceeded,
)
from trunkline.runtime.clock import now
from trunkline.testing.fake_actions import by_event
from trunkline.testing.nats import nats_server
from trunkline_relay.wiring import running

pytestmark = [pytest.mark.flow, pytest.mark.asyncio(loop_scope="module")]
STOP = TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason="enough")
NONE, AGAIN = Outcome.REQUEST_FAILED, Outcome.CONNECTION_ERROR


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    with nats_server() as server:
        async with desk(server, tmp_path_factory.mktemp("forge")) as made:
            waits = {"github_start_within_s": 2, "github_call_within_s": 1}
            async with running(settings(server, made, **waits), QUICK):
                yield made


@pytest.fixture
def repo(here: Desk) -> str:
    return here.repo()


async def tries(here: Desk, task: TaskId) -> list[tuple[int, Outcome]]:
    return [(fact.number, fact.outcome) for fact in await here.facts(task) if isinstance(fact, DispatchTried)]


async def concluded(here: Desk, task: TaskId, word: str) -> WorkflowRunSeen:
    return await here.until(task, WorkflowRunSeen, lambda fact: (fact.run.status, fact.run.conclusion) == (COMPLETED, word))


@contextmanager
def workflows(here: Desk, **how: Any) -> Iterator[None]:
    """GitHub behaves otherwise for a while."""
    actions = here.github.actions
    before = {name: getattr(actions, name) for name in how}
    try:
        for name, value in how.items():
            setattr(actions, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(actions, name, value)


async def test_an_assigned_task_starts_one_run_which_is_followed_to_its_conclusion(here: Desk, repo: str) -> None:
    task = await here.assigned(repo)
    seen = await here.until(task, WorkflowRunSeen)
    (body,) = here.sent(repo)
    payload = body["client_payload"]
    assert (set(body), body["event_type"]) == ({"event_type", "client_payload"}, "omnara_trigger")
    assert set(payload) == {"agent_instance_id", "prompt", "omnara_api_key", "branch_name", "agent_type"}
    assert (payload["agent_instance_id"], payload["prompt"], payload["branch_name"]) == (wire_id(task), "mend it", "main")
    assert (seen.how, seen.run.status) == (SeenBy.LISTING, "queued")
    await here.calls(task)
    run = here.github.actions.newest(repo)
    for status, conclusion in (("in_progress", None), ("completed", "success")):
        await here.github.actions.advance(run, status, conclusion)
        await here.until(task, WorkflowRunSeen, lambda fact, status=status: fact.run.status == status)
    assert await tries(here, task) == [(1, Outcome.BEGUN), (1, Outcome.ACCEPTED)]
    assert here.github.steps("cancel-run") == []


async def test_the_key_in_the_payload_opens_its_instance_until_the_task_ends_and_lies_nowhere(here: Desk, repo: str) -> None:
    task = await here.assigned(repo)
    wanted = await here.until(task, DispatchWanted)
    await here.until(task, WorkflowRunSeen)
    text = here.sent(repo)[0]["client_payload"]["omnara_api_key"]
    key = InstanceKeys(vault_key(KEY), time.time).read(text)
    assert (key.tenant, key.task, key.key_id, key.mark) == (ACME, task, wanted.key.key_id, wanted.key.sha256)
    await here.bus.roll.start()
    assert not here.bus.roll.revoked(key.token)
    await here.say(task, TaskSucceeded())
    revoked = await here.until(task, InstanceKeyRevoked)
    assert revoked.key_id == key.key_id
    await here.bus.roll.start()
    assert here.bus.roll.revoked(key.token)
    assert text not in json.dumps([fact.model_dump(mode="json") for fact in await here.facts(task)])


@pytest.mark.parametrize(
    ("kind", "headers", "outcome"),
    [("429", {"retry_after": "0"}, NONE), ("500", {}, Outcome.ERROR), ("silent", {}, Outcome.TIMEOUT)],
)
async def test_what_certainly_did_not_come_about_is_asked_for_again(
    here: Desk, repo: str, kind: str, headers: dict[str, str], outcome: Outcome
) -> None:
    here.github.fail("dispatch", kind, repo=repo, **headers)
    task = await here.assigned(repo)
    await here.until(task, WorkflowRunSeen)
    absent = [] if outcome is NONE else [(1, AGAIN)]
    assert await tries(here, task) == [(1, Outcome.BEGUN), (1, outcome), *absent, (2, Outcome.BEGUN), (2, Outcome.ACCEPTED)]
    assert len(here.github.actions.runs[repo]) == 1


@pytest.mark.parametrize("kind", ["500-after", "reset-after", "silent-after"])
async def test_what_may_have_come_about_is_found_and_not_asked_for_twice(here: Desk, repo: str, kind: str) -> None:
    here.github.fail("dispatch", kind, repo=repo)
    with workflows(here, delay_s=0.8 if kind == "500-after" else 0.0):  # by when several looks have found nothing
        task = await here.assigned(repo)
        await here.until(task, WorkflowRunSeen)
    assert len(here.sent(repo)) == len(here.github.actions.runs[repo]) == 1


async def test_a_run_that_may_be_anybodys_is_no_reason_to_start_another_and_the_first_call_proves_it(here: Desk, repo: str) -> None:
    with workflows(here, run_name=by_event):
        here.github.fail("dispatch", "reset-after", repo=repo)
        task = await here.assigned(repo)
        await here.until(task, DispatchTried, lambda fact: fact.outcome is Outcome.ERROR)
        await here.calls(task)
        await here.until(task, DispatchTried, lambda fact: fact.outcome is Outcome.ACCEPTED)
        await here.until(task, WorkflowRunSeen)
    assert len(here.sent(repo)) == 1


async def test_a_run_that_may_be_anybodys_and_never_calls_is_given_up_on(here: Desk, repo: str) -> None:
    with workflows(here, run_name=by_event):
        here.github.fail("dispatch", "reset-after", repo=repo)
        task = await here.assigned(repo)
        assert (await here.until(task, DispatchGivenUp)).code == "RUN_NOT_STARTED"
    assert len(here.sent(repo)) == 1


async def test_a_github_that_does_not_say_what_came_of_it_is_not_asked_for_ever(here: Desk, repo: str) -> None:
    here.github.fail("dispatch", "reset-after", repo=repo)
    here.github.fail("runs", "500", times=999, repo=repo)
    task = await here.assigned(repo)
    assert (await here.until(task, DispatchGivenUp)).code == "RUN_NOT_STARTED"
    assert len(here.sent(repo)) == 1


@pytest.mark.parametrize("kind", ["401", "403", "404", "422"])
async def test_a_refusal_is_final_and_leaves_a_letter(here: Desk, repo: str, kind: str) -> None:
    here.github.fail("dispatch", kind, times=9, repo=repo)
    task = await here.assigned(repo)
    given_up = await here.until(task, DispatchGivenUp)
    assert given_up.code == "DISPATCH_REFUSED" and kind in given_up.error
    tried = await here.until(task, DispatchTried, lambda fact: fact.outcome is NONE)
    assert (tried.status, tried.again_at) == (int(kind), None)
    assert len(here.sent(repo)) == (2 if kind == "401" else 1), "a credential is doubted once"
    letter = await here.bus.client.jetstream().get_last_msg("DEAD", subjects.dead("dispatch", ACME, task))
    assert b"DISPATCH_REFUSED" in (letter.data or b"") and b"omni_key_" not in (letter.data or b"")


async def test_after_six_requests_it_is_given_up_on(here: Desk, repo: str) -> None:
    here.github.fail("dispatch", "429", times=99, repo=repo, retry_after="0")
    task = await here.assigned(repo)
    assert (await here.until(task, DispatchGivenUp)).code == "DISPATCH_NOT_SENT"
    assert len(here.sent(repo)) == 6


async def test_what_is_too_large_for_github_is_never_sent(here: Desk, repo: str) -> None:
    task = await here.assigned(repo, prompt="x" * 65_600)
    assert (await here.until(task, DispatchGivenUp)).code == "DISPATCH_TOO_LARGE"
    assert here.sent(repo) == []


async def test_an_event_that_no_workflow_waits_for_is_given_up_on_in_time(here: Desk, repo: str) -> None:
    with workflows(here, silent=True):
        task = await here.assigned(repo)
        given_up = await here.until(task, DispatchGivenUp)
    assert given_up.code == "RUN_NOT_STARTED" and "omnara_trigger" in given_up.error
    assert len(here.sent(repo)) == 1


@pytest.mark.parametrize(("status", "code"), [("queued", "RUN_NOT_STARTED"), ("in_progress", "RUN_NEVER_CALLED")])
async def test_a_run_that_never_begins_or_never_calls_is_cancelled_and_given_up_on(here: Desk, repo: str, status: str, code: str) -> None:
    task = await here.assigned(repo)
    await here.until(task, WorkflowRunSeen)
    await here.github.actions.advance(here.github.actions.newest(repo), status)
    assert (await here.until(task, DispatchGivenUp)).code == code
    await here.say(task, TaskFailed(code=code, error="as the router makes of it"))
    assert (await here.until(task, WorkflowCancelTried)).outcome is Outcome.ACCEPTED
    await concluded(here, task, "cancelled")


async def test_a_run_that_called_is_not_given_up_on(here: Desk, repo: str) -> None:
    task = await here.assigned(repo)
    await here.until(task, WorkflowRunSeen)
    await here.calls(task)
    await here.github.actions.advance(here.github.actions.newest(repo), "in_progress")
    await here.until(task, WorkflowRunSeen, lambda fact: fact.run.status == "in_progress")
    with pytest.raises(AssertionError):
        await here.until(task, DispatchGivenUp, within=1.5)


async def test_a_task_that_stops_cancels_its_run_and_insists(here: Desk, repo: str) -> None:
    task = await here.assigned(repo)
    await here.until(task, WorkflowRunSeen)
    here.github.fail("cancel-run", "500", times=2, repo=repo)
    await here.say(task, STOP)
    await here.until(task, WorkflowCancelTried, lambda fact: fact.outcome is Outcome.ACCEPTED)
    tried = [(fact.number, fact.outcome) for fact in await here.facts(task) if isinstance(fact, WorkflowCancelTried)]
    assert tried == [(1, Outcome.ERROR), (2, Outcome.ERROR), (3, Outcome.ACCEPTED)]
    await concluded(here, task, "cancelled")


async def test_a_run_that_nobody_has_seen_yet_is_cancelled_as_soon_as_it_is_seen(here: Desk, repo: str) -> None:
    with workflows(here, delay_s=0.5):
        task = await here.assigned(repo)
        await here.until(task, DispatchTried, lambda fact: fact.outcome is Outcome.ACCEPTED)
        await here.say(task, STOP, TaskCancelled(by="ann", reason="enough"))
        await here.until(task, InstanceKeyRevoked)
        await here.until(task, WorkflowCancelTried)
    await concluded(here, task, "cancelled")


async def test_what_was_not_sent_when_the_task_stopped_is_never_sent(here: Desk, repo: str) -> None:
    here.github.fail("dispatch", "429", repo=repo, retry_after="2")
    task = await here.assigned(repo)
    await here.until(task, DispatchTried, lambda fact: fact.outcome is NONE)
    await here.say(task, STOP)
    assert (await here.until(task, DispatchGivenUp)).code == "WITHDRAWN"
    assert len(here.sent(repo)) == 1


async def test_the_run_of_a_task_that_succeeded_may_end_by_itself(here: Desk, repo: str) -> None:
    task = await here.assigned(repo)
    await here.until(task, WorkflowRunSeen)
    await here.say(task, TaskSucceeded())
    await here.until(task, InstanceKeyRevoked)
    await here.github.actions.advance(here.github.actions.newest(repo), "completed", "success")
    await concluded(here, task, "success")
    assert not [fact for fact in await here.facts(task) if isinstance(fact, WorkflowCancelTried)]


async def test_the_run_of_an_agent_that_gave_up_ends_by_itself_or_is_cancelled_after_a_while(here: Desk, repo: str) -> None:
    other = here.repo()
    leaves, stays = await here.assigned(repo), await here.assigned(other)
    for task in (leaves, stays):
        await here.until(task, WorkflowRunSeen)
        await here.calls(task)
        await here.say(task, TaskFailed(code="AGENT_FAILED", error="its agent said that it failed"))
        await here.until(task, InstanceKeyRevoked)
    await here.github.actions.advance(here.github.actions.newest(repo), "completed", "failure")
    await concluded(here, stays, "cancelled")
    await concluded(here, leaves, "failure")
    assert not [fact for fact in await here.facts(leaves) if isinstance(fact, WorkflowCancelTried)]


async def test_a_task_that_is_held_starts_nothing_before_it_is_released(here: Desk, repo: str) -> None:
    held = TaskHeld(hold=Hold(digest="d", reasons=("because",)), subject="may it", requested_by="ann")
    task = await here.assigned(repo, held)
    free = await here.assigned(here.repo())
    await here.until(free, WorkflowRunSeen)
    assert (await here.facts(task), here.sent(repo)) == ([], [])
    await here.say(task, TaskReleased(approval_id="release", by="bob", deadline_at=now()))
    await here.until(task, WorkflowRunSeen)


async def test_what_is_told_of_a_run_counts_as_what_is_seen(here: Desk, repo: str) -> None:
    task = await here.assigned(repo)
    await here.until(task, WorkflowRunSeen)
    run = here.github.actions.newest(repo)
    run |= {"status": "in_progress"}
    await here.report(task, repo.upper(), run)
    seen = await here.until(task, WorkflowRunSeen, lambda fact: fact.how is SeenBy.WEBHOOK)
    assert seen.run.status == "in_progress"
    before = len(await here.facts(task))
    await here.report(task, repo, run)
    await here.report("-", repo, run)
    assert len(await here.facts(task)) == before
    await here.report("-", repo, run | {"status": "completed", "conclusion": "failure"})
    await concluded(here, task, "failure")


async def test_runs_of_others_are_told_to_nobody(here: Desk, repo: str) -> None:
    task = await here.assigned(repo)
    await here.until(task, WorkflowRunSeen)
    foreign = here.github.actions.add("acme/other", "deploy")
    for name, place in ((task, "acme/other"), ("-", repo), ("f" * 32, repo)):
        with pytest.raises(NotFound) as refused:
            await here.report(name, place, foreign)
        assert refused.value.code == "RUN_NOT_OURS"


async def test_a_workflow_that_tells_its_run_is_believed_more_than_a_guess_once_github_says_the_same(here: Desk, repo: str) -> None:
    with workflows(here, run_name=by_event):
        task = await here.assigned(repo)
        guessed = await here.until(task, WorkflowRunSeen)
        assert (guessed.how, guessed.run.title) == (SeenBy.LISTING, "omnara_trigger")
    await here.calls(task)
    here.github.fail("run", "500", repo=repo)
    other = here.github.actions.add(repo, "omnara_trigger", status="in_progress")
    await here.report(task, repo, other | {"html_url": "javascript:alert(1)", "display_title": f"omnara {wire_id(task)}"}, SeenBy.TOLD)
    seen = await here.until(task, WorkflowRunSeen, lambda fact: fact.run.run_id == other["id"])
    assert (seen.how, seen.run.url, seen.run.title) == (SeenBy.TOLD, other["html_url"], "omnara_trigger"), "as GitHub has it"
    before = len(await here.facts(task))
    await here.report(task, repo, here.github.actions.runs[repo][0] | {"status": "completed"}, SeenBy.TOLD)
    assert len(await here.facts(task)) == before


async def test_a_key_that_names_a_run_of_somebody_else_gets_it_neither_followed_nor_cancelled(here: Desk, repo: str) -> None:
    actions, another = here.github.actions, await here.assigned(repo)
    theirs = (await here.until(another, WorkflowRunSeen)).run.run_id
    with workflows(here, run_name=by_event):
        task = await here.assigned(repo)
        own = (await here.until(task, WorkflowRunSeen)).run.run_id
    await here.calls(task)
    deploy = actions.add(repo, "Deploy to production", event="push", status="in_progress")
    early = actions.add(repo, "omnara_trigger", status="in_progress") | {"created_at": "2026-01-01T00:00:00Z"}
    actions.runs[repo][-1] |= early
    event = actions.add(repo, "Deploy", status="in_progress")
    for run in (deploy, early, event, actions.find(theirs), deploy | {"id": 1}):
        await here.report(task, repo, run, SeenBy.TOLD)
        await here.until(task, WorkflowRunTold, lambda fact, number=run["id"]: fact.run_id == number and bool(fact.refused))
    await here.say(task, STOP)
    assert (await here.until(task, WorkflowCancelTried)).run_id == own
    assert [seen.path.split("/")[-2] for seen in here.github.steps("cancel-run") if f"/{repo}/" in seen.path] == [str(own)]


async def test_of_two_runs_without_a_name_none_is_believed_before_its_own_workflow_names_it(here: Desk, repo: str) -> None:
    with workflows(here, run_name=by_event):
        liar, honest = await here.assigned(repo), await here.assigned(repo)
        for task in (liar, honest):
            await here.until(task, DispatchTried, lambda fact: fact.outcome is Outcome.ACCEPTED)
            await here.calls(task)
    first, second = [await here.github.actions.advance(run, "in_progress") for run in here.github.actions.runs[repo]]
    theirs, own = (first, second) if first["id"] == here.run_of(honest) else (second, first)
    await here.report(liar, repo, theirs, SeenBy.TOLD)
    await here.asked_for(theirs["id"], 2)  # by when it was not believed
    await here.report(honest, repo, theirs, SeenBy.TOLD)
    await here.report(liar, repo, own, SeenBy.TOLD)
    assert (await here.until(honest, WorkflowRunSeen)).run.run_id == theirs["id"]
    assert (await here.until(liar, WorkflowRunSeen)).run.run_id == own["id"], "the first that it had"


async def test_of_two_runs_without_a_name_the_one_at_work_is_that_of_the_agent_that_called(here: Desk, repo: str) -> None:
    with workflows(here, run_name=by_event):
        first, second = await here.assigned(repo), await here.assigned(repo)
        for task in (first, second):
            await here.until(task, DispatchTried, lambda fact: fact.outcome is Outcome.ACCEPTED)
        at_work = here.github.actions.runs[repo][1]
        await here.github.actions.advance(at_work, "in_progress")
        await here.calls(second)
        seen = await here.until(second, WorkflowRunSeen)
        assert (seen.run.run_id, seen.how) == (at_work["id"], SeenBy.CALLBACK)
        left = await here.until(first, WorkflowRunSeen)
        assert (left.run.run_id, left.how) == (here.github.actions.runs[repo][0]["id"], SeenBy.LISTING)


async def test_a_relay_without_a_vault_key_says_that_it_can_make_no_keys(tmp_path: Path) -> None:
    with nats_server() as server:
        async with desk(server, tmp_path) as one, running(settings(server, one, vault_key=""), QUICK):
            task = await one.assigned("acme/r0")
            assert (await one.until(task, DispatchGivenUp)).code == "NO_VAULT_KEY"
            assert one.github.seen == []
