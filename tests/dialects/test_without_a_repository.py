"""A task without a repository leaves no change: what there is none of is null on every surface, and every answer is as described."""

from __future__ import annotations

from datetime import timedelta

from tests.dialects.orchestrator.asking import ADMIN, calling
from tests.dialects.pr_agent.test_answers import holds
from tests.dialects.pr_agent.test_streams import parsed
from tests.dialects.world import BEGAN, World, talking
from trunkline.contracts.run import RunResult, RunSucceeded, SandboxReady
from trunkline.contracts.task import Assignment, TaskAssigned, TaskStarted, TaskSubmitted, TaskSucceeded
from trunkline.sdk.models.tasks import TaskAnswer, TaskList
from trunkline_gateway.dialects.pr_agent.encode import job_id
from trunkline_gateway.dialects.pr_agent.schemas import Job

TASK = "0194589f6d0070008000000000000001"
RESULT = RunResult(sandbox_id="sbx-1", sandbox_seconds=2.5, summary="It is 4.")
UNCHANGED = {"branch", "commit", "pull_request", "pull_request_url", "files_changed", "additions", "deletions"}
UNCHANGED_JOB = ("fixBranch", "commitSha", "prNumber", "prUrl", "filesChanged", "additions", "deletions")


async def world() -> World:
    """One task that was carried out in a named sandbox."""
    made = World(principal=ADMIN)
    assignment = Assignment(prompt="2 + 2?", type="knowledge", sandbox="sbx-1", surface="omni")
    await made.say(TASK, TaskSubmitted(assignment=assignment, submitted_by="ann", deadline_at=BEGAN + timedelta(hours=1)))
    await made.say(TASK, TaskAssigned(pool="dev", attempt=1), TaskStarted(attempt=1))
    await made.say(TASK, SandboxReady(sandbox_id="sbx-1", provider="local", isolation="bubblewrap"))
    await made.say(TASK, RunSucceeded(attempt=1, result=RESULT))
    await made.say(TASK, TaskSucceeded(result=RESULT))
    return made


async def test_a_task_that_changed_nothing_is_read_and_listed_as_described_and_the_sdk_reads_it() -> None:
    async with calling(await world()) as caller:  # which holds each answer against the model that its route is described by
        read, listed = await caller.ask(f"GET /tasks/task_{TASK}"), await caller.ask("GET /tasks?type=knowledge")
        events = (await caller.ask(f"GET /tasks/task_{TASK}/events")).body["events"]
    result = read.body["task"]["result"]
    assert result == {**dict.fromkeys(UNCHANGED), "summary": "It is 4."}
    assert [task["result"] for task in listed.body["tasks"]] == [result]
    assert [event["payload"]["result"] for event in events if event["event_type"] == "task.completed"] == [result]
    known = TaskAnswer.model_validate(read.body).task.result
    assert known is not None
    assert known == TaskList.model_validate(listed.body).tasks[0].result
    assert known.model_dump(include=UNCHANGED) == dict.fromkeys(UNCHANGED)


async def test_what_an_agent_elsewhere_returned_is_the_outcome_of_its_task_as_described_and_the_sdk_reads_it() -> None:
    made = World(principal=ADMIN)
    assignment = Assignment(type="faq_update", surface="orchestrator")
    await made.say(TASK, TaskSubmitted(assignment=assignment, submitted_by="ann", deadline_at=BEGAN + timedelta(hours=1)))
    await made.say(TASK, TaskAssigned(pool="faq_agent", attempt=1), TaskStarted(attempt=1), TaskSucceeded(outcome=["done", 3]))
    async with calling(made) as caller:
        read = await caller.ask(f"GET /tasks/task_{TASK}")
    assert read.body["task"]["result"] == {**dict.fromkeys(UNCHANGED), "summary": "", "outcome": ["done", 3]}
    known = TaskAnswer.model_validate(read.body).task.result
    assert known is not None and known.outcome == ["done", 3]


async def test_its_job_says_the_same_alone_and_on_the_stream_and_invents_no_branch() -> None:
    async with talking(await world()) as session:
        async with session.get(f"/api/pr-agent/{job_id(TASK)}") as response:
            alone = await response.json()
        async with session.get(f"/api/pr-agent/{job_id(TASK)}/stream") as response:
            last = parsed(await response.text())[-1][1]
    holds(Job, alone)
    assert [alone[name] for name in UNCHANGED_JOB] == [last["result"][name] for name in UNCHANGED_JOB] == [None] * len(UNCHANGED_JOB)
    assert (alone["repoFullName"], alone["branch"]) == ("", "")
