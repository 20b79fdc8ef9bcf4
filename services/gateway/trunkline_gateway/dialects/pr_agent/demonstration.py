"""A job that never was: every kind of event once, at the pace of a small one, for whoever writes a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from trunkline.auth.principal import HOME
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId
from trunkline.contracts.record import Event, read_fact
from trunkline_gateway.usecases.replay import Place

TASK: Final = TaskId("0" * 32)
EPOCH: Final = "demo"
"""Of its event ids: no log is called that, so nobody resumes a real stream by one of them."""

Steps = Sequence[tuple[float, dict[str, JsonValue]]]
"""Seconds to wait, and the fact that happens then."""
_RESULT: Final[dict[str, JsonValue]] = {
    "branch": "pr-agent/add-tests-1234567890", "base": "main", "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "pull_request": 42,
    "pull_request_url": "https://github.com/myorg/myrepo/pull/42", "files_changed": 3, "additions": 120, "deletions": 4,
    "sandbox_id": "demonstration", "sandbox_seconds": 5.4,
}  # fmt: skip
_ASKED: Final[dict[str, JsonValue]] = {"repo": "myorg/myrepo", "prompt": "add unit tests"}


def _began(phase: str, message: str) -> dict[str, JsonValue]:
    return {"type": "run.phase_began", "phase": phase, "message": message}


def _said(line: int, kind: str, display: str, **more: JsonValue) -> dict[str, JsonValue]:
    return {"type": "output.said", "attempt": 1, "line": line, "kind": kind, "display": display, **more}


_STEPS: Final[Steps] = (
    (0.0, {"type": "task.submitted", "assignment": _ASKED, "submitted_by": "nobody", "deadline_at": "2025-01-12T11:00:00Z"}),
    (0.2, _began("sandbox", "Creating sandbox...")),
    (0.8, {"type": "run.sandbox_ready", "sandbox_id": "demonstration", "provider": "demonstration", "isolation": "nothing runs"}),
    (0.2, _began("clone", "Cloning repository...")),
    (0.6, _began("agent", "Running the agent...")),
    (0.5, _said(1, "thinking", "Which tests are missing?", text="Which tests are missing?")),
    (0.5, _said(2, "tool_call", "src/index.ts", tool="Read")),
    (0.3, _said(3, "tool_result", "120 lines", tool="Read")),
    (1.0, _said(4, "message", "Tests added", text="Tests added")),
    (0.5, _began("push", "Pushing changes...")),
    (0.5, _began("pr", "Creating pull request...")),
)
_WELL: Final[Steps] = ((0.5, {"type": "task.succeeded", "result": _RESULT}),)
_BADLY: Final[Steps] = ((0.5, {"type": "task.failed", "code": "PUSH_REFUSED", "error": "the forge refused the push"}),)


async def demonstration(place: Place, now: Callable[[], datetime], *, well: bool) -> AsyncIterator[Event]:
    """What lies beyond the place, in some six seconds at the speed 1."""
    after, speed = place.after, place.speed or 1.0
    seen = after.seq if after and after.epoch == EPOCH else 0
    for seq, (seconds, body) in enumerate((*_STEPS, *(_WELL if well else _BADLY)), 1):
        if seq > seen:
            await asyncio.sleep(seconds / speed)
            yield Event(Cursor(EPOCH, seq), HOME, TASK, "task", now(), read_fact(body))
