"""What a task's events mean to a person: pure."""

from __future__ import annotations

from tests.each import each
from trunkline_cli.blocks import Block
from trunkline_cli.orchestrator import is_last
from trunkline_cli.shapes import TaskEvent
from trunkline_cli.tidings import tell
from trunkline_cli.timeline import Told, line


def event(name: str, **payload: object) -> TaskEvent:
    return TaskEvent.model_validate({"event_type": name, "timestamp": "2026-01-01T00:00:00Z", "payload": payload})


def told(name: str, **payload: object) -> tuple[str, str]:
    found = tell(event(name, **payload))
    assert found
    return found.label, found.text


@each(
    ("name", "payload", "label", "text"),
    [
        (
            "task.created",
            {"type": "bugfix", "priority": "P1", "source": "github", "created_by": "ann"},
            "created",
            "bugfix P1 from github by ann",
        ),
        ("task.created", {"type": None, "priority": "P2", "created_by": "anonymous"}, "created", "P2 by anonymous"),
        ("task.assigned", {"assigned_agent": "dev_agent", "attempt": 1}, "assigned", "to dev_agent"),
        ("task.assigned", {"assigned_agent": "dev_agent", "attempt": 2}, "assigned", "to dev_agent, attempt 2"),
        ("task.approval_required", {"approval_id": "approval_1", "reasons": ["P1 is held"]}, "held", "P1 is held (approval_1)"),
        ("task.released", {"by": "bob"}, "released", "by bob"),
        ("task.in_progress", {"attempt": 1, "by": "dev-agent-1"}, "started", "by dev-agent-1"),
        ("task.in_progress", {"attempt": 1, "by": ""}, "started", "attempt 1"),
        ("run.parked", {"why": "forge", "until": "2026-01-02T03:04:05Z"}, "parked", "the forge is asked again at 03:04:05 UTC"),
        ("run.parked", {"why": "tool_call"}, "parked", "the agent's place is free for others until somebody decides"),
        ("task.retry_scheduled", {"attempt": 2, "due_at": "soon", "error": "no"}, "again", "attempt 2 at soon: no"),
        ("task.completed", {"result": None}, "done", "completed"),
        ("task.completed", {"result": {"pull_request": 7, "pull_request_url": "u"}}, "done", "pull request #7: u"),
        ("task.failed", {"error": "It broke."}, "failed", "It broke."),
        ("task.cancelled", {"cause": "wish", "by": "ann", "reason": "no need"}, "cancelled", "by ann: no need"),
        ("task.cancelled", {"cause": "approval_rejected", "reason": "no"}, "cancelled", "its approval was rejected: no"),
        ("approval.decided", {"verdict": "approved", "decided_by": "human", "by": "bob", "reason": "ok"}, "approved", "by bob: ok"),
        ("approval.decided", {"verdict": "rejected", "decided_by": "timeout", "by": "timeout"}, "rejected", "by timeout (timeout)"),
        ("run.phase", {"phase": "agent", "message": "Running"}, "agent", "Running"),
        ("agent.output", {"kind": "tool_call", "tool": "Bash", "display": "ls"}, "", "> Bash ls"),
        ("message.queued", {"text": "use tabs", "by": "ann"}, "told", "use tabs (by ann)"),
        ("message.edited", {"text": "use\nspaces", "by": "ann"}, "changed", "spaces  (+1 lines) (by ann)"),
        ("message.withdrawn", {"by": "trunkline", "reason": "the agent is done"}, "unsaid", "a message, by trunkline the agent is done"),
        ("message.taken", {"attempt": 1}, "taken", "the agent has the message"),
        ("run.steered", {"steer": "pause", "by": "ann"}, "", "pause wanted by ann"),
        ("run.interrupted", {"by": "ann"}, "stopped", "what the agent was doing, by ann"),
        ("run.call_answered", {"verdict": "denied", "by": "bob", "reason": "no"}, "call", "denied by bob: no"),
        ("run.call_answered", {"verdict": "timed_out", "by": "timeout"}, "call", "nobody decided in time"),
        ("run.waiting", {"why": "paused"}, "waiting", "paused"),
        ("run.push_judged", {"cleared": False, "reasons": ["CODEOWNERS", "a key"]}, "push", "looked at first: CODEOWNERS; a key"),
        ("run.budget_raised", {"usd": 2.5, "by": "bob"}, "budget", "$2.5 more, by bob"),
        ("pull_request.ended", {"number": 7, "merged": True, "by": "bob"}, "merged", "pull request #7 by bob"),
        ("something.new", {"x": 1}, "", 'something.new {"x": 1}'),
    ],
)
def test_an_event_is_one_line(name: str, payload: dict[str, object], label: str, text: str) -> None:
    assert told(name, **payload) == (label, text)


def test_a_field_that_is_not_there_is_no_reason_to_fall() -> None:
    assert told("task.failed") == ("failed", "")
    assert told("approval.decided")[0] == ""


def test_what_somebody_published_is_said_as_theirs_and_ends_nothing() -> None:
    said = {"event_type": "task.completed", "published_by": "eve", "source_agent": "dev_agent", "payload": {"n": 1}}
    found = tell(TaskEvent.model_validate({**said, "timestamp": "2026-01-01T00:00:00Z"}))
    assert found == Told("event", 'task.completed by eve as dev_agent {"n": 1}', "magenta")
    assert not is_last(Block("1", "task.completed", dict(said)))
    assert is_last(Block("2", "task.completed", {"event_type": "task.completed"}))


def test_what_another_event_tells_already_is_not_told_again() -> None:
    assert tell(event("run.pushed", branch="b", commit="c")) is None
    assert tell(event("approval.requested", kind="task", subject="s", approval_id="a")) is None
    assert told("approval.requested", kind="tool_call", subject="May it push?", approval_id="a") == ("asked", "May it push? (a)")


def test_a_label_never_touches_its_text() -> None:
    assert "cancelled by" in line(Told("cancelled", "by"), 1.5)
    assert line(Told("agent", "x"), 1.5) == "[dim]  1.50 s[/]  agent    x"
