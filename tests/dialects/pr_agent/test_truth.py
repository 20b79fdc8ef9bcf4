"""What a job is said to have used: what was counted, the same wherever it is shown and however the job ended, whatever its agent claims."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialects.pr_agent import stories
from tests.dialects.pr_agent.test_jobs import MINE
from tests.dialects.pr_agent.test_streams import parsed
from tests.dialects.world import World, talking
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.message import Fact
from trunkline.contracts.run import AgentEnded, RunFailed, RunStopped, Usage
from trunkline.contracts.task import TaskAssigned, TaskCancelled, TaskFailed, TaskRetryScheduled
from trunkline_gateway.dialects.orchestrator import names

LIE = Usage(model="free-of-charge", input_tokens=1, output_tokens=1, cost_usd=0.000001)
NOTHING = {"llmModel": None, "llmInputTokens": None, "llmOutputTokens": None, "estimatedCostUsd": None}
COUNTED = {"llmModel": "claude-sonnet", "llmInputTokens": 1200, "llmOutputTokens": 340, "estimatedCostUsd": 0.24}
SPENT = {"llmModel": "model", "llmInputTokens": "input_tokens", "llmOutputTokens": "output_tokens", "estimatedCostUsd": "usd"}
"""The same under the names of the other surface."""
ENDS: dict[str, list[tuple[Fact, ...]]] = {
    "failed": [
        (RunFailed(attempt=1, code="NO_CHANGES", error="It changed nothing at all.", recoverable=False),),
        (TaskFailed(code="NO_CHANGES", error="It changed nothing at all."),),
    ],
    "cancelled": [(RunStopped(attempt=1),), (TaskCancelled(by="ann", reason="no longer wanted"),)],
}
UNFINISHED = [*stories.STARTED, *stories.WORKED[:2], (AgentEnded(summary="done", usage=LIE),)]


def said(of: dict[str, Any]) -> dict[str, Any]:
    return {name: of[name] for name in NOTHING}


async def shown(world: World, *story: tuple[Fact, ...]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A job of this story: how it stands alone, and what all the places that tell of its use say."""
    world.principal = ANONYMOUS
    async with talking(world) as session:
        body = {"repo": "o/n", "task": "it", "clientFingerprint": MINE}
        async with session.post("/api/pr-agent/execute", json=body) as response:
            path = f"/api/pr-agent/{(await response.json())['jobId']}"
        task = world.events[0].task
        for facts in story:
            await world.say(task, *facts)
        async with session.get(path) as response:
            alone = await response.json()
        async with session.get("/api/pr-agent/jobs", params={"fingerprint": MINE}) as response:
            [listed] = (await response.json())["jobs"]
        async with session.get(f"{path}/stream") as response:
            last = parsed(await response.text())[-1][1]
        world.principal = Principal(HOME, "ann", Role.ADMIN)
        async with session.get(f"/tasks/{names.task(task)}") as response:
            spent = (await response.json())["task"]["spent"]
    places = [said(alone), said(alone["job"]), said(listed), {name: spent[theirs] for name, theirs in SPENT.items()}]
    return alone, places + ([said({**NOTHING, **last["result"]})] if last["type"] == "result" else [])


@pytest.mark.parametrize("end", ENDS)
async def test_a_job_that_came_to_nothing_says_what_it_used_and_how_long_it_had_a_sandbox(end: str) -> None:
    alone, places = await shown(World(), *UNFINISHED, (stories.ANSWERED,), *ENDS[end])
    assert places == [COUNTED] * 4
    assert alone["sandboxDurationSeconds"] > 0
    assert [alone[name] for name in ("filesChanged", "additions", "deletions", "commitSha", "prUrl")] == [None] * 5


@pytest.mark.parametrize("end", ENDS)
async def test_what_an_agent_claims_is_shown_nowhere_though_its_job_came_to_nothing(end: str) -> None:
    _, places = await shown(World(), *UNFINISHED, *ENDS[end])
    assert places == [NOTHING] * 4


async def test_a_job_without_a_sandbox_has_no_time_in_it() -> None:
    alone, _ = await shown(World(), *stories.STARTED[:2], *ENDS["failed"])
    assert (alone["sandboxDurationSeconds"], alone["sandboxId"]) == (None, None)


@pytest.mark.parametrize(("reason", "sentence"), [("", "Cancelled"), ("no longer wanted", "Cancelled: no longer wanted")])
async def test_a_cancelled_job_says_why_in_the_words_of_its_stream(reason: str, sentence: str) -> None:
    world = World()
    alone, _ = await shown(world, *stories.STARTED[:2], (TaskCancelled(by="ann", reason=reason),))
    async with talking(world) as session, session.get(f"/api/pr-agent/{alone['id']}/stream") as response:
        last = parsed(await response.text())[-1][1]
    assert (alone["error"], alone["errorCode"]) == (last["error"], last["code"]) == (sentence, "CANCELLED")


async def test_a_job_that_succeeded_says_the_same_in_its_result() -> None:
    _, places = await shown(World(), *stories.WHOLE)
    assert places == [COUNTED] * 5


async def test_a_cost_without_a_known_price_is_unknown_and_the_tokens_are_not() -> None:
    guessed = stories.ANSWERED.model_copy(update={"priced": False})
    _, places = await shown(World(), *UNFINISHED, (guessed,), (stories.ANSWERED,), *ENDS["failed"])
    assert places == [{**COUNTED, "llmInputTokens": 2400, "llmOutputTokens": 680, "estimatedCostUsd": None}] * 4


async def test_a_model_that_costs_nothing_costs_nothing_and_is_not_unknown() -> None:
    _, places = await shown(World(), *UNFINISHED, (stories.ANSWERED.model_copy(update={"usd": 0.0}),), *ENDS["failed"])
    assert places == [{**COUNTED, "estimatedCostUsd": 0.0}] * 4


async def test_what_an_attempt_left_that_was_made_anew_is_no_outcome() -> None:
    failed = RunFailed(attempt=1, code="SANDBOX_LOST", error="The machine is gone.", recoverable=True)
    world = World()
    again = TaskRetryScheduled(attempt=2, due_at=world.now(), code="SANDBOX_LOST", reason="The machine is gone.")
    committed = [*stories.STARTED, *stories.WORKED[:4], (stories.WORKED[5][0],)]
    alone, _ = await shown(world, *committed, (failed,), (again,), (TaskAssigned(pool="dev", attempt=2),), *ENDS["failed"])
    assert [alone[name] for name in ("fixBranch", "commitSha", "filesChanged")] == [None] * 3


async def test_the_timeline_of_a_task_does_not_repeat_what_its_agent_claims() -> None:
    world = World()
    await shown(world, *UNFINISHED, *ENDS["failed"])
    async with talking(world) as session, session.get(f"/tasks/{names.task(world.events[0].task)}/events") as response:
        text = await response.text()
    assert "run.agent_ended" in text
    assert LIE.model is not None and LIE.model not in text
