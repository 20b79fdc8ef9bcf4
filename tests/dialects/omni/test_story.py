"""What is said of a job, from recorded facts alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.dialects.omni.stories import CALLERS, JOB, SANDBOX, TASK, answered, merged, preflight, started, submitted
from tests.dialects.world import BEGAN
from tests.each import each
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact, UnknownFact
from trunkline.contracts.record import Event
from trunkline.contracts.run import AgentEnded, AgentOutput, AgentStarted, RunResult, Said, SandboxReady
from trunkline.contracts.task import TaskCancelled, TaskFailed, TaskRetryScheduled, TaskSubmitted, TaskSucceeded, Visibility
from trunkline_gateway.dialects.omni import story
from trunkline_gateway.dialects.omni.names import STATUS, UPDATE
from trunkline_sandbox.adapters.agents.judging import shorten


def told(*facts: Fact) -> list[tuple[str, dict[str, Any]]]:
    """Topic and data of every message."""
    first, *rest = facts
    assert isinstance(first, TaskSubmitted)
    job = story.begin(TaskId(TASK), first)
    said: list[tuple[str, dict[str, Any]]] = []
    for number, fact in enumerate(rest, 1):
        assert job
        event = Event(Cursor("k3v9", number), TenantId("public"), TaskId(TASK), "task", BEGAN + timedelta(seconds=number), fact)
        job, messages = story.tell(job, event)
        said += [(message.topic, message.data) for message in messages]
    return said


def kinds(said: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [data["message"]["type"] if topic == UPDATE else data["status"] for topic, data in said]


def test_a_job_that_goes_well_is_told_in_the_documents_order() -> None:
    said = told(submitted(), *started(), *preflight(), *answered(), TaskSucceeded())
    assert kinds(said) == ["IN_PROGRESS", "log", "log", "log", "log", "log", "log", "result", "done", "DONE"]
    assert said[0] == (STATUS, {"taskId": CALLERS, "status": "IN_PROGRESS", "sessionId": SANDBOX})
    logs = [data["message"]["data"] for topic, data in said if topic == UPDATE and data["message"]["type"] == "log"]
    assert logs[0] == f"Job {JOB} started"
    assert logs[1:4] == ["Claude CLI 1.0.80 is there", "The key is there", "The model can be reached"]
    ts = 1736676000000 + 8000
    result = {"type": "result", "format": "text", "data": "It is about trees.", "jobId": JOB, "ts": ts}
    assert said[-3:] == [
        (UPDATE, {"taskId": CALLERS, "message": result}),
        (UPDATE, {"taskId": CALLERS, "message": {"type": "done", "exitCode": 0, "jobId": JOB, "ts": ts}}),
        (STATUS, {"taskId": CALLERS, "status": "DONE", "sessionId": SANDBOX}),
    ]


@each(
    ("code", "shown"),
    [
        ("AGENT_NOT_FOUND", "CLAUDE_NOT_AVAILABLE"),
        ("CLAUDE_NOT_AVAILABLE", "CLAUDE_NOT_AVAILABLE"),
        ("MODEL_NOT_CONFIGURED", "CLAUDE_NOT_AVAILABLE"),
        ("MODEL_KEY_REFUSED", "CLAUDE_NOT_AVAILABLE"),
        ("MODEL_UNREACHABLE", "CLAUDE_NOT_AVAILABLE"),
        ("AGENT_FAILED", "CLAUDE_COMMAND_FAILED"),
        ("MODEL_AUTH_FAILED", "CLAUDE_COMMAND_FAILED"),
        ("DEADLINE", "EXECUTION_ERROR"),
        ("SANDBOX_START_FAILED", "EXECUTION_ERROR"),
    ],
)
def test_a_failure_is_an_error_and_then_done(code: str, shown: str) -> None:
    said = told(submitted(), *started(), TaskFailed(code=code, error="It broke."))
    assert kinds(said) == ["IN_PROGRESS", "log", "error", "done", "DONE"]
    error, done = said[2][1]["message"], said[3][1]["message"]
    assert (error["code"], error["message"], done["exitCode"]) == (shown, "It broke.", 1)
    assert list(error) == ["type", "code", "message", "jobId", "ts"]


def test_a_job_that_never_began_is_told_whole_too() -> None:
    said = told(submitted(), TaskCancelled(by="ann", reason="not needed"))
    assert kinds(said) == ["IN_PROGRESS", "log", "error", "done", "DONE"]
    assert said[2][1]["message"]["message"] == "Cancelled: not needed"


def test_a_second_attempt_does_not_begin_the_job_again() -> None:
    again = TaskRetryScheduled(attempt=2, due_at=BEGAN, code="MODEL_UNAVAILABLE", reason="the model was away")
    said = told(submitted(), *started(), again, *started(), *answered(), TaskSucceeded())
    assert kinds(said).count("IN_PROGRESS") == 1
    assert kinds(said)[-3:] == ["result", "done", "DONE"]
    assert "Trying again (attempt 2): the model was away" in [data.get("message", {}).get("data") for _, data in said]


def says(text: str, **detail: str) -> Fact:
    return AgentOutput(attempt=1, line=1, kind=Said.MESSAGE, display=text[:40], text=text, detail=dict(detail))


def result_of(*facts: Fact, summary: str = "") -> str:
    result = RunResult(sandbox_id=SANDBOX, sandbox_seconds=1, summary=summary)
    said = told(submitted(), *started(), AgentStarted(agent="claude"), *facts, TaskSucceeded(result=result))
    return next(str(data["message"]["data"]) for topic, data in said if topic == UPDATE and data["message"]["type"] == "result")


def test_a_line_on_stderr_is_a_log_line_and_never_the_result() -> None:
    warning = says("DeprecationWarning: x", stream="stderr")
    assert result_of(says("THE ANSWER"), warning, AgentEnded()) == "THE ANSWER"
    assert result_of(says("THE ANSWER"), warning, AgentEnded(summary="THE ANSWER"), summary="THE ANSWER") == "THE ANSWER"
    said = told(submitted(), *started(), says("THE ANSWER"), warning, TaskSucceeded())
    assert [data["message"]["data"] for _, data in said[2:5]] == ["THE ANSWER", "DeprecationWarning: x", "THE ANSWER"]
    assert kinds(said)[2:5] == ["log", "log", "result"]


@pytest.mark.parametrize("ended", [("THE ANSWER", ""), ("", "THE ANSWER")])
def test_how_the_agent_summed_it_up_wins_over_what_it_said_on_the_way(ended: tuple[str, str]) -> None:
    told_early, told_late = ended
    assert result_of(says("working on it"), AgentEnded(summary=told_early), summary=told_late) == "THE ANSWER"
    assert result_of(says("Working…and on"), AgentEnded(summary="Working…"), summary="Working…") == "Working…"


def test_a_summary_that_is_only_the_beginning_of_what_was_said_gives_way_to_all_of_it() -> None:
    for letter in ("a", "木"):
        whole = letter * 9000
        cut = shorten(f" {whole}")
        assert cut.endswith("…")
        assert result_of(says(f"{whole}\n"), AgentEnded(summary=cut), summary=cut) == f"{whole}\n"
        assert result_of(says("the last word"), AgentEnded(summary=cut), summary=cut) == cut


def test_what_an_attempt_said_is_not_the_result_of_the_next() -> None:
    again = TaskRetryScheduled(attempt=2, due_at=BEGAN, code="MODEL_UNAVAILABLE", reason="the model was away")
    earlier = (says("half an answer"), AgentEnded(summary="half an answer"), again, *started(), AgentStarted(agent="claude"))
    assert result_of(*earlier) == ""
    assert result_of(*earlier, says("THE ANSWER")) == "THE ANSWER"


def test_a_merge_is_told_after_the_end() -> None:
    said = told(submitted(), *started(), TaskSucceeded(), merged())
    assert said[-1] == (STATUS, {"taskId": CALLERS, "status": "MERGED", "sessionId": SANDBOX})


def test_what_comes_after_the_end_is_no_log_line() -> None:
    said = told(submitted(), *started(), TaskSucceeded(), *preflight(), *answered("late"))
    assert kinds(said)[-1] == "DONE"


def test_facts_that_mean_nothing_here_are_passed_over() -> None:
    ready = SandboxReady(sandbox_id="other", provider="local", isolation="bubblewrap")
    assert told(submitted(), ready, UnknownFact(type="run.invented", body={})) == []


def test_other_surfaces_and_what_only_its_owner_may_see_are_not_told() -> None:
    for fact in (submitted(surface="pr_agent"), submitted(visibility=Visibility.OWNER)):
        assert isinstance(fact, TaskSubmitted)
        assert story.begin(TaskId(TASK), fact) is None
