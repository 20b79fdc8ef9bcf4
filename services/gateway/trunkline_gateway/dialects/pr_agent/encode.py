"""From what Trunkline says to what a pr_agent client reads."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

import orjson
from pydantic import JsonValue

from trunkline.contracts.errors import DomainError
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.run import AgentOutput, Phase, PhaseBegan, RunResult, Said, SandboxReady, Usage
from trunkline.contracts.task import (
    TaskCancelled,
    TaskFailed,
    TaskHeld,
    TaskReleased,
    TaskRetryScheduled,
    TaskStatus,
    TaskStopRequested,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline.contracts.views import TaskView
from trunkline_gateway.dialects.pr_agent import encode_waiting

Object = dict[str, JsonValue]

STATUS: Final = {
    TaskStatus.SUBMITTED: "pending",
    TaskStatus.ASSIGNED: "pending",
    TaskStatus.IN_PROGRESS: "running",
    TaskStatus.STOPPING: "running",
    TaskStatus.SUCCEEDED: "success",
    TaskStatus.FAILED: "failed",
    TaskStatus.CANCELLED: "failed",
}
EVENT_TYPE: Final = {
    Said.MESSAGE: "message",
    Said.THINKING: "thinking",
    Said.TOOL_CALL: "tool_call",
    Said.TOOL_RESULT: "tool_result",
    Said.NOTICE: "message",
    Said.RAW: "message",
}
_CODE_OF_KIND: Final = {
    "broken": "INTERNAL_ERROR",
    "unavailable": "UNAVAILABLE",
    "unauthenticated": "AUTH_REQUIRED",
    "exhausted": "RATE_LIMITED",
}
_DOCUMENTED: Final = ("fixBranch", "prNumber", "prUrl", "commitSha", "filesChanged", "sandboxDurationSeconds", "estimatedCostUsd")
_UNSAID: Final = frozenset({"broken"})
"""Kinds whose details are for the log."""


@lru_cache(1024)  # on every line of a stream
def job_id(task_id: str) -> str:
    """The id as this surface writes it: a UUID with dashes."""
    return str(UUID(task_id))


def accepted(task_id: str) -> Object:
    job = job_id(task_id)
    return {"jobId": job, "streamUrl": f"/api/pr-agent/{job}/stream"}


def job(view: TaskView) -> Object:
    """The fields of the document, and the same object again under `job`: clients of both kinds are about."""
    said = fields(view)
    return {**said, "job": said}


def fields(view: TaskView) -> Object:
    """A job, as it stands alone and in lists."""
    return {**_asked(view), **_outcome(view), **_usage(view.used)}


def cancelled(view: TaskView) -> Object:
    return {"jobId": job_id(view.task_id), **job(view)}


def frame(event: Event) -> bytes:
    """One event as it goes over the wire; nothing when the fact means nothing to this surface."""
    body = _body(event)
    if body is None:
        return b""
    said: Object = {"type": body.pop("type"), "timestamp": moment(event.at), "jobId": job_id(event.task)}
    said.update(body)
    return b"id: %b\ndata: %b\n\n" % (str(event.cursor).encode(), orjson.dumps(said))


def gap(lost: Gap, task_id: str, at: datetime) -> bytes:
    """Said aloud, without an id of its own: the next event carries the place to resume from."""
    message = f"Events after {lost.asked} cannot be resumed: the log does not hold that place. What it holds follows from the beginning."
    body: Object = {
        "type": "status", "timestamp": moment(at), "jobId": job_id(task_id), "status": "running", "phase": "gap", "message": message,
    }  # fmt: skip
    return b"data: %b\n\n" % orjson.dumps(body)


def error(refusal: DomainError, upgrade_url: str = "") -> Object:
    """`error` and `message` hold the same text. `upgrade_url` is where a caller gets more; empty: nowhere."""
    code = _CODE_OF_KIND.get(refusal.kind, refusal.code)
    details: Object = {} if refusal.kind in _UNSAID else dict(refusal.details)
    said: Object = {"error": refusal.message, "message": refusal.message, "code": code, "details": details}
    said |= {"upgradeUrl": upgrade_url or None} if refusal.kind == "exhausted" else {}
    return said | ({"retryAfter": details["retry_after"]} if "retry_after" in details else {})


@lru_cache(1024)  # what is said at once has one time
def moment(at: datetime) -> str:
    """`2025-01-12T10:00:00.000Z`."""
    return f"{at.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def _asked(view: TaskView) -> Object:
    return {
        "id": job_id(view.task_id),
        "repoFullName": view.assignment.repo,
        "branch": view.assignment.branch if view.assignment.repo else "",
        "task": view.assignment.prompt,
        "status": STATUS[view.status],
    }


def _outcome(view: TaskView) -> Object:
    return {
        "phase": view.phase,
        "fixBranch": view.branch,
        "prNumber": view.pull_request,
        "prUrl": view.pull_request_url,
        "filesChanged": view.files_changed,
        "additions": view.additions,
        "deletions": view.deletions,
        "commitSha": view.commit,
        "sandboxId": view.sandbox_id,
        "sandboxDurationSeconds": None if view.sandbox_seconds is None else round(view.sandbox_seconds, 3),
        "createdAt": moment(view.submitted_at),
        "completedAt": moment(view.ended_at) if view.ended_at else None,
        "error": _stopped(view.error) if view.status is TaskStatus.CANCELLED else view.error,
        "errorCode": view.error_code,
    }


def _usage(usage: Usage) -> Object:
    return {
        "estimatedCostUsd": usage.cost_usd,
        "llmModel": usage.model,
        "llmInputTokens": usage.input_tokens,
        "llmOutputTokens": usage.output_tokens,
    }


def _body(event: Event) -> Object | None:
    match event.fact:
        case AgentOutput() as said:
            return _agent(said)
        case TaskSucceeded(result=result):
            return {"type": "result", "success": True, "result": _result(result)}
        case TaskFailed(code=code, error=text):
            return _failed(text, code)
        case TaskCancelled(reason=reason):
            return _failed(_stopped(reason), "CANCELLED")
        case _:
            return _status(event)


def _status(event: Event) -> Object | None:
    match event.fact:
        case TaskSubmitted():
            return {"type": "status", "status": "pending", "message": "Queued"}
        case TaskHeld(hold=hold):
            return {"type": "status", "status": "pending", "message": f"Waiting for an approval: {' '.join(hold.reasons)}"}
        case TaskReleased(by=by):
            return {"type": "status", "status": "pending", "message": f"Approved by {by}"}
        case TaskRetryScheduled(attempt=attempt, reason=reason, due_at=due):
            return {"type": "status", "status": "pending", "message": f"Trying again (attempt {attempt}, {moment(due)}): {reason}"}
        case TaskStopRequested(cause=cause):
            return {"type": "status", "status": "running", "message": f"Stopping ({cause})"}
        case PhaseBegan(phase=phase, message=message):
            return _phase(phase, message)
        case SandboxReady() as ready:
            return _phase(Phase.SANDBOX, _isolation(ready))
        case _:
            told = encode_waiting.sentence(event.fact)
            return {"type": "status", "status": "running", "message": told} if told else None


def _phase(phase: Phase, message: str) -> Object:
    return {"type": "status", "status": "running", "phase": phase.value, "message": message}


def _isolation(ready: SandboxReady) -> str:
    if ready.isolation.startswith("none"):
        return f"Sandbox ready WITHOUT ISOLATION ({ready.provider}, {ready.isolation}): the agent can do whatever Trunkline itself can"
    return f"Sandbox ready ({ready.provider}, {ready.isolation})"


def _agent(said: AgentOutput) -> Object:
    body: Object = {"type": "agent", "eventType": EVENT_TYPE[said.kind]}
    if said.tool is not None:
        body["tool"] = said.tool
    body["display"] = said.display
    if said.text:
        body["output"] = said.text
    if said.is_error:
        body["isError"] = True
    return body


def _result(result: RunResult | None) -> Object:
    """The fields of the document always, unknown ones as null; the others when known."""
    if result is None:
        return {"success": True} | dict.fromkeys(_DOCUMENTED)
    usage, changed = _usage(result.usage), bool(result.commit)
    documented: Object = {
        "success": True,
        "fixBranch": result.branch or None,
        "prNumber": result.pull_request or None,
        "prUrl": result.pull_request_url or None,
        "commitSha": result.commit or None,
        "filesChanged": result.files_changed if changed else None,
        "sandboxDurationSeconds": round(result.sandbox_seconds, 3),
        "estimatedCostUsd": usage.pop("estimatedCostUsd"),
    }
    lines: Object = {"additions": result.additions, "deletions": result.deletions} if changed else {"additions": None, "deletions": None}
    return documented | lines | {"sandboxId": result.sandbox_id} | {name: value for name, value in usage.items() if value is not None}


def _stopped(reason: str | None) -> str:
    return f"Cancelled: {reason}" if reason else "Cancelled"


def _failed(text: str, code: str) -> Object:
    return {"type": "error", "error": text, "code": code, "recoverable": False}
