"""A gateway of the test's own that speaks the orchestrator surface as its document says: what it answers is the test's to say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HEX = "0af3" * 8
TASK = f"task_{HEX}"
APPROVAL = f"approval_{HEX}"
TOKEN = "k" * 32
Answer = tuple[int, Any, dict[str, str]]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass
class Desk:
    """Answers each path by its next answer, the last of them for ever; streams are lists of frames, cut where they end."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    open: set[str] = field(default_factory=set)
    """Paths that need no credential."""

    def says(self, path: str, body: Any, status: int = 200, **headers: str) -> None:
        """One more answer to `METHOD /path`; a body that is a list is a stream."""
        self.answers.setdefault(path, []).append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        sent = await request.json() if request.can_read_body else None
        self.asked.append(Asked(request.method, request.path, dict(request.query), sent, dict(request.headers)))
        if request.headers.get("X-API-Key") != TOKEN and request.path not in self.open:
            return web.json_response({"detail": "A credential is needed"}, status=401)
        waiting = self.answers.get(f"{request.method} {request.path}", [(404, {"detail": "there is no such thing"}, {})])
        status, body, headers = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(body, list):
            return await _stream(request, body)
        return web.json_response(body, status=status, headers=headers)


async def _stream(request: web.Request, frames: list[str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for frame in frames:
        await response.write(frame.encode())
    return response


def frame(n: int, event_type: str, payload: dict[str, Any] | None = None, **more: str) -> str:
    """One event on the wire, `n` seconds after the first."""
    at = f"2026-01-01T00:00:{n:02}Z"
    body = {"event_type": event_type, "task_id": TASK, "timestamp": at, "id": f"e-{n}", "payload": payload or {}, **more}
    return f"id: e-{n}\nevent: {event_type}\ndata: {json.dumps(body)}\n\n"


def task(n: int = 0, **fields: Any) -> dict[str, Any]:
    """A task as it is answered."""
    told = {"type": "bugfix", "status": "assigned", "priority": "P2", "assigned_agent": "dev_agent", "created_by": "ann"}
    return {"task_id": f"task_{n:032x}", "created_at": "2026-01-01T00:00:00Z", **told, **fields}


def numbered(tasks: int) -> Iterator[dict[str, Any]]:
    return (task(n) for n in range(tasks))
