"""What is sent: a thin account of one event, with where to read more, and nothing that was said to or by an agent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import orjson
from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from trunkline.contracts import task
from trunkline.contracts.approval import RELEASE
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Event
from trunkline.contracts.run import RunResult
from trunkline.contracts.views import TaskView
from trunkline.contracts.webhook import DeliveryStatus, DeliveryView, Hook
from trunkline_relay.model.hook_events import JOB_FAILED

LONGEST: Final = 20_000
"""Bytes of a body."""
LONGEST_TEXT: Final = 500
MOST_ITEMS: Final = 20
TEST: Final = "webhook.verify"
CANCELLED: Final = "CANCELLED"
_TOLD_NOT: Final = frozenset(
    {"type", "assignment", "policy", "about", "text", "input", "allowance", "usage", "decision_id", "secret", "body"}
)
"""Of a fact: what is long, what people and agents said (so what an agent claims to have used), and what only Trunkline needs."""

_PARTS: Final = re.compile("([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})")

Object = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Subject:
    """What never changes about a task, and who may be told of it."""

    submitted_by: str
    surface: str
    repo: str
    type: str

    @classmethod
    def of(cls, view: TaskView) -> Subject:
        return cls(view.submitted_by, view.assignment.surface, view.assignment.repo, view.assignment.type)


def delivery_id(hook: Hook, event: Event) -> str:
    """The same for the same webhook and event, whoever makes it, however often."""
    return "dlv_" + sha256(f"{hook.tenant}/{hook.id}/{event.cursor}".encode()).hexdigest()[:40]


def delivery(hook: Hook, event: Event, name: str, body: str, at: datetime) -> DeliveryView:
    """What is to be delivered, before the first try."""
    return DeliveryView(
        status=DeliveryStatus.PENDING,
        id=delivery_id(hook, event),
        hook_id=hook.id,
        tenant=hook.tenant,
        type=name,
        event=str(event.cursor),
        task_id=event.task,
        body=body,
        created_at=at,
        begun_at=at,
    )


def body(event: Event, about: Subject, name: str, base: str) -> str:
    """As it is signed and sent; `base` is where the gateway is reached."""
    task_id, job_id = f"task_{event.task}", _dashed(event.task)
    data: Object = {"event_id": str(event.cursor), "task_id": task_id, "job_id": job_id}
    data |= {
        "surface": about.surface,
        "repository": about.repo or None,
        "task_type": about.type or None,
        "submitted_by": about.submitted_by,
    }
    links: Object = {"task": f"{base}/tasks/{task_id}", "job": f"{base}/api/pr-agent/{job_id}"}
    head: Object = {"type": name, "timestamp": moment(event.at)}
    failed = _failed(event.fact) if name == JOB_FAILED else {}
    for told in (_told(event.task, event.fact) | failed, {}):
        text = orjson.dumps(head | {"data": {**told, **data, "links": links}})
        if len(text) <= LONGEST:
            break
    return text.decode()


def challenge_body(hook: Hook, challenge: str, at: datetime) -> str:
    """What an address is asked before it is told anything."""
    data: Object = {"webhook_id": hook.id, "challenge": challenge}
    return orjson.dumps({"type": TEST, "timestamp": moment(at), "data": data}).decode()


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(task_id: str, fact: Fact) -> Object:
    plain = {key: _short(value) for key, value in _plain(fact).items()}
    if isinstance(fact, task.TaskSucceeded) and fact.result:
        plain["result"] = _result(fact.result)
    status = _STATUS.get(type(fact))
    if status:
        plain["status"] = status
    named = plain.get("approval_id")
    if isinstance(named, str) and named:
        plain["approval_id"] = f"approval_{task_id}" if named == RELEASE else f"approval_{task_id}_{named}"
    return plain


def _plain(fact: Fact) -> Object:
    """As `model_dump` has it, in a third of the time; what is not told may be long, and is not looked at."""
    kept = {name: getattr(fact, name) for name in type(fact).model_fields if name not in _TOLD_NOT}
    plain: Object = orjson.loads(orjson.dumps(kept, to_jsonable_python, orjson.OPT_UTC_Z))
    return plain


def _result(result: RunResult) -> Object:
    """With what its models were counted to use, in the words of jobs, and as there what is not known left out.

    What it cost and the size of the change are always there, null where they are not known or nothing was committed.
    """
    unmade = set() if result.pull_request else {"branch", "base", "commit", "pull_request", "pull_request_url"}
    plain, used = _short(result.model_dump(mode="json", exclude={"usage"} | unmade)), result.usage
    told: Object = {"llmModel": used.model, "llmInputTokens": used.input_tokens, "llmOutputTokens": used.output_tokens}
    known = {name: value for name, value in told.items() if value is not None}
    sizes: Object = {} if result.commit else {"files_changed": None, "additions": None, "deletions": None}
    return {**(plain if isinstance(plain, dict) else {}), **sizes, "estimatedCostUsd": used.cost_usd, **known}


def _failed(fact: Fact) -> Object:
    """What a job that failed says of itself on its own surface, where one that was cancelled is one of them."""
    match fact:
        case task.TaskCancelled(reason=reason):
            error = _short(f"Cancelled: {reason}" if reason else "Cancelled")
            return {"status": "failed", "code": CANCELLED, "errorCode": CANCELLED, "error": error}
        case task.TaskFailed(code=code):
            return {"errorCode": code}
        case _:
            return {}


def _short(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return value if len(value) <= LONGEST_TEXT else value[: LONGEST_TEXT - 1] + "…"
        case list():
            return [_short(each) for each in value[:MOST_ITEMS]]
        case dict():
            return {key: _short(each) for key, each in list(value.items())[:MOST_ITEMS] if key not in _TOLD_NOT}
        case _:
            return value


def _dashed(task_id: str) -> str:
    """As the surface of jobs writes it."""
    found = _PARTS.fullmatch(task_id)
    return "-".join(found.groups()) if found else task_id


_STATUS: Final[Mapping[type[Fact], str]] = {
    task.TaskSubmitted: "pending",
    task.TaskAssigned: "assigned",
    task.TaskStarted: "in_progress",
    task.TaskSucceeded: "completed",
    task.TaskFailed: "failed",
    task.TaskCancelled: "cancelled",
}
