"""A model API that says what a test wrote for it: Anthropic Messages, streaming, on loopback, stateless between requests."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from trunkline.testing.scripted_stream import Cut, Fail, Pause, Step, Text, Thinking, ToolUse, Turn, stream_turn

__all__ = ["Asked", "Cut", "Fail", "Pause", "ScriptedModel", "Step", "Text", "Thinking", "ToolUse", "Turn", "scripted_model"]

_FILLER: Turn = (Text("ok"),)
_AFTER_THE_SCRIPT: Turn = (Text("Nothing is left in the script."),)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived; the names of its headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)
    turn: int = 0

    @property
    def tools(self) -> list[str]:
        return [str(tool.get("name")) for tool in self.body.get("tools", [])]


class ScriptedModel:
    """Turn i answers a request whose history holds i turns of the assistant, so retries and restarts change nothing.

    A request without tools (a title, a probe) gets a fixed word. `key`, when given, must come as `x-api-key`.
    """

    def __init__(self, turns: Iterable[Turn], *, key: str | None = None, pause_s: float = 0.0) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._turns = tuple(turns)
        self._key = key
        self._pause_s = pause_s
        self._spent: set[tuple[int, int]] = set()

    def conversations(self) -> list[str]:
        """The history that came with each request that had tools, as JSON in plain letters."""
        return [json.dumps(asked.body.get("messages", []), ensure_ascii=False) for asked in self.asked if asked.tools]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await _json_body(request)
        turn = _turns_of_assistant(body)
        self.asked.append(Asked(request.method, request.path_qs, _lowered(request), body, turn))
        if self._key is not None and request.headers.get("x-api-key") != self._key:
            return refusal(401, "authentication_error")
        if request.path.endswith("/count_tokens"):
            return web.json_response({"input_tokens": 100})
        if not request.path.endswith("/messages"):
            return refusal(404, "not_found_error")
        return await self._say(request, body, turn)

    def _turn(self, index: int, body: Mapping[str, Any]) -> Turn:
        if not body.get("tools"):
            return _FILLER
        return self._turns[index] if index < len(self._turns) else _AFTER_THE_SCRIPT

    async def _say(self, request: web.Request, body: Mapping[str, Any], index: int) -> web.StreamResponse:
        turn = self._turn(index, body)
        left: int | None = None
        for place, step in enumerate(turn):
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Fail) and self._due((index, place), step.always):
                return refusal(step.status, step.type, step.headers)
            elif isinstance(step, Cut) and self._due((index, place), step.always):
                left = step.after_events
        if left == 0:
            return _cut(request)
        return await self._stream(request, stream_turn(turn, str(body.get("model")), _last_tool_result(body)), left)

    def _due(self, place: tuple[int, int], always: bool) -> bool:
        first = place not in self._spent
        self._spent.add(place)
        return always or first

    async def _stream(self, request: web.Request, events: Iterable[str], left: int | None) -> web.StreamResponse:
        """Send `events`, or as many as are `left` before the connection is dropped."""
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "request-id": f"req_{uuid.uuid4().hex[:20]}"})
        await response.prepare(request)
        for sent, event in enumerate(events):
            if sent == left:
                return _cut(request)
            await response.write(event.encode())
            await asyncio.sleep(self._pause_s)
        await response.write_eof()
        return response


@asynccontextmanager
async def scripted_model(turns: Iterable[Turn], *, key: str | None = None, pause_s: float = 0.0) -> AsyncIterator[ScriptedModel]:
    """Serve `turns` on a free loopback port; `pause_s` seconds lie between two events of a stream."""
    model = ScriptedModel(turns, key=key, pause_s=pause_s)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", model.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield model
    finally:
        await runner.cleanup()


def refusal(status: int, type: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error in the shape of the model API."""
    body = {"type": "error", "error": {"type": type, "message": f"scripted {status}"}}
    return web.json_response(body, status=status, headers={"retry-after": "1", **(headers or {})})


def _lowered(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _json_body(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _turns_of_assistant(body: Mapping[str, Any]) -> int:
    """Several messages of the assistant in a row are one turn."""
    roles = [message.get("role") for message in body.get("messages", [])]
    return sum(1 for before, role in zip([None, *roles], roles, strict=False) if role == "assistant" != before)


def _last_tool_result(body: Mapping[str, Any]) -> str:
    messages = body.get("messages", [])
    content = messages[-1].get("content") if messages else None
    if not isinstance(content, list):
        return ""
    found = [block.get("content") for block in content if block.get("type") == "tool_result"]
    return str(found[-1]) if found else ""
