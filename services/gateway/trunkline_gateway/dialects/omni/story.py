"""Tells what happened to one job in the messages of the omni document: pure, fact by fact, so that every reader hears the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.forge import PullRequestEnded
from trunkline.contracts.ids import TaskId
from trunkline.contracts.record import Event
from trunkline.contracts.run import AgentEnded, AgentOutput, AgentStarted, PhaseBegan, Said, SandboxReady
from trunkline.contracts.task import (
    TaskCancelled,
    TaskFailed,
    TaskRetryScheduled,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    Visibility,
)
from trunkline_gateway.dialects.omni.names import JOB_LABEL, SANDBOX_LABEL, STATUS, SURFACE, TASK_LABEL, UPDATE
from trunkline_gateway.usecases.telling import Message

IN_PROGRESS: Final = "IN_PROGRESS"
DONE: Final = "DONE"
MERGED: Final = "MERGED"
NOT_AVAILABLE: Final = "CLAUDE_NOT_AVAILABLE"
COMMAND_FAILED: Final = "CLAUDE_COMMAND_FAILED"
EXECUTION_ERROR: Final = "EXECUTION_ERROR"
_NOT_THERE: Final = frozenset(
    {"AGENT_NOT_FOUND", "AGENT_NOT_CONFIGURED", "UNKNOWN_AGENT", "PROGRAM_MISSING", NOT_AVAILABLE}
    | {"MODEL_NOT_CONFIGURED", "MODEL_KEY_REFUSED", "MODEL_UNREACHABLE"}
)
"""What the checks before the agent's start end with."""
_FAILED: Final = ("AGENT_", "MODEL_", COMMAND_FAILED)
"""How codes begin that say that the agent was there and did not do its work."""
_CODES: Final[Mapping[str, Callable[[str], bool]]] = {
    NOT_AVAILABLE: lambda code: code in _NOT_THERE,
    COMMAND_FAILED: lambda code: code.startswith(_FAILED),
}
SHOWN: Final = frozenset({Said.MESSAGE, Said.TOOL_CALL, Said.NOTICE})
"""What of an agent's output becomes a log line."""
_WHOLE: Final = 2 << 10
"""Bytes. A summary is cut at 4 KiB, and secrets are struck out of it; a shorter one ends in `…` because its agent wrote that."""

Messages = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """As much of a job as its next message depends on."""

    task_id: str
    """The caller's."""
    job_id: str
    session: str
    began: bool = False
    over: bool = False
    status: str = IN_PROGRESS
    said: str = ""
    """What the agent said last in this attempt, whole."""
    summary: str = ""
    """How the agent summed this attempt up."""


def begin(task: TaskId, submitted: TaskSubmitted) -> Job | None:
    """Nothing for a task of another surface, and for one that only its owner may see: a channel is heard by a whole tenant."""
    return None if submitted.assignment.visibility is Visibility.OWNER else begin_for_viewer(task, submitted)


def begin_for_viewer(task: TaskId, submitted: TaskSubmitted) -> Job | None:
    """As `begin`, for one who may see the task."""
    if submitted.assignment.surface != SURFACE:
        return None
    labels = submitted.assignment.labels
    return Job(labels.get(TASK_LABEL, task), labels.get(JOB_LABEL, task), labels.get(SANDBOX_LABEL, ""))


def tell(job: Job, event: Event) -> tuple[Job, Messages]:
    """What the job is after this fact, and what is said about it."""
    at = event.at
    match event.fact:
        case TaskStarted():
            return _began(job, at)
        case TaskSucceeded(result=result):
            text = _answer(job.said, (result.summary if result else "") or job.summary)
            return _ended(job, at, _update(job, at, "result", format="text", data=text), exit_code=0)
        case TaskFailed(code=code, error=error):
            return _ended(job, at, _update(job, at, "error", code=code_of(code), message=error))
        case TaskCancelled(reason=reason):
            why = f"Cancelled: {reason}" if reason else "Cancelled"
            return _ended(job, at, _update(job, at, "error", code=EXECUTION_ERROR, message=why))
        case PullRequestEnded(merged=True):
            return replace(job, status=MERGED), (_status(job, MERGED),)
        case _:
            return _went_on(job, event)


def _went_on(job: Job, event: Event) -> tuple[Job, Messages]:
    match event.fact:
        case SandboxReady(sandbox_id=sandbox) if not job.session:
            job = replace(job, session=sandbox)
        case AgentStarted():
            job = replace(job, said="", summary="")
        case AgentEnded(summary=summary):
            job = replace(job, summary=summary)
        case AgentOutput(kind=Said.MESSAGE, text=text, detail=detail) if text and detail.get("stream") != "stderr":
            job = replace(job, said=text)
    line = _line(event)
    if not line or job.over:
        return job, ()
    job, first = _began(job, event.at)
    return job, (*first, _log(job, event.at, line))


def _answer(said: str, summary: str) -> str:
    """The agent's own summary, and what it said last where the summary is only the beginning of that."""
    cut = summary.endswith("…") and len(summary.encode()) >= _WHOLE and said.strip().startswith(summary[:-1])
    return said if cut else summary or said


def code_of(code: str) -> str:
    """One of the three codes of the document."""
    return next((theirs for theirs, fits in _CODES.items() if fits(code)), EXECUTION_ERROR)


def _line(event: Event) -> str:
    match event.fact:
        case PhaseBegan(message=message):
            return message
        case AgentStarted(agent=agent):
            return f"Agent {agent} started"
        case AgentOutput(kind=kind, display=display) if kind in SHOWN:
            return display
        case TaskRetryScheduled(attempt=attempt, reason=reason):
            return f"Trying again (attempt {attempt}): {reason}"
        case _:
            return ""


def _began(job: Job, at: datetime) -> tuple[Job, Messages]:
    """Said once, and before anything else: also of a job that ends without having been started."""
    if job.began:
        return job, ()
    return replace(job, began=True), (_status(job, IN_PROGRESS), _log(job, at, f"Job {job.job_id} started"))


def _ended(job: Job, at: datetime, outcome: Message, exit_code: int = 1) -> tuple[Job, Messages]:
    job, first = _began(job, at)
    done = _update(job, at, "done", exitCode=exit_code)
    return replace(job, over=True, status=DONE, said="", summary=""), (*first, outcome, done, _status(job, DONE))


def _log(job: Job, at: datetime, line: str) -> Message:
    return _update(job, at, "log", data=line)


def _update(job: Job, at: datetime, kind: str, **more: JsonValue) -> Message:
    said: dict[str, JsonValue] = {"type": kind, **more, "jobId": job.job_id, "ts": round(at.timestamp() * 1000)}
    return Message(UPDATE, job.job_id, {"taskId": job.task_id, "message": said})


def _status(job: Job, status: str) -> Message:
    return Message(STATUS, job.job_id, {"taskId": job.task_id, "status": status, "sessionId": job.session or job.job_id})
