"""A model API that says what a test wrote for it: OpenAI Responses and Chat Completions, streaming, on loopback, stateless."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from trunkline.testing.scripted_openai_stream import FreeTool, Step, Turn, stream_chat, stream_responses
from trunkline.testing.scripted_stream import Cut, Fail, Pause, Text, Thinking, ToolUse

__all__ = ["Asked", "Cut", "Fail", "FreeTool", "Pause", "ScriptedOpenAI", "Step", "Text", "Thinking", "ToolUse", "Turn", "scripted_openai"]

_FILLER: Turn = (Text("ok"),)
_AFTER_THE_SCRIPT: Turn = (Text("Nothing is left in the script."),)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived; the names of its headers are in small letters."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)
    turn: int = 0

    @property
    def history(self) -> list[Mapping[str, Any]]:
        told = self.body.get("input" if self.path.endswith("/responses") else "messages", [])
        return told if isinstance(told, list) else []

    @property
    def titled(self) -> bool:
        """A program asks for a title without offering a tool; with Responses it may offer them elsewhere."""
        return self.path.endswith("/chat/completions") and not self.body.get("tools")


class ScriptedOpenAI:
    """Turn i answers a request whose history holds i turns of the assistant, so retries and restarts change nothing.

    A request for a title gets a fixed word. `key`, when given, must come as a bearer.
    """

    def __init__(self, turns: Iterable[Turn], *, key: str | None = None, pause_s: float = 0.0) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._turns = tuple(turns)
        self._key = key
        self._pause_s = pause_s
        self._spent: set[tuple[int, int]] = set()

    def conversations(self) -> list[str]:
        """The history that came with each request but those for a title, as JSON in plain letters."""
        return [json.dumps(asked.history, ensure_ascii=False) for asked in self.asked if not asked.titled]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = await _asked(request)
        self.asked.append(asked)
        if self._key is not None and asked.headers.get("authorization") != f"Bearer {self._key}":
            return _refusal(Fail(401, "invalid_request_error"))
        if not request.path.endswith(("/responses", "/chat/completions")):
            return _refusal(Fail(404, "not_found_error"))
        return await self._say(request, asked)

    def _turn(self, asked: Asked) -> Turn:
        if asked.titled:
            return _FILLER
        return self._turns[asked.turn] if asked.turn < len(self._turns) else _AFTER_THE_SCRIPT

    async def _say(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        turn, left = self._turn(asked), None
        for place, step in enumerate(turn):
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Fail) and self._due((asked.turn, place), step.always):
                return _refusal(step)
            elif isinstance(step, Cut) and self._due((asked.turn, place), step.always):
                left = step.after_events
        stream = stream_responses if request.path.endswith("/responses") else stream_chat
        return await self._stream(request, stream(turn, str(asked.body.get("model")), _last_tool_result(asked)), left)

    def _due(self, place: tuple[int, int], always: bool) -> bool:
        first = place not in self._spent
        self._spent.add(place)
        return always or first

    async def _stream(self, request: web.Request, events: Iterable[str], left: int | None) -> web.StreamResponse:
        """Send `events`, or as many as are `left` before the connection is dropped."""
        if left == 0:
            return _cut(request)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for sent, event in enumerate(events):
            if sent == left:
                return _cut(request)
            await response.write(event.encode())
            await asyncio.sleep(self._pause_s)
        await response.write_eof()
        return response


@asynccontextmanager
async def scripted_openai(
    turns: Iterable[Turn], *, key: str | None = None, pause_s: float = 0.0, listener: socket.socket | None = None
) -> AsyncIterator[ScriptedOpenAI]:
    """Serve `turns` on `listener`, or on a free loopback port; `pause_s` seconds lie between two events of a stream."""
    model = ScriptedOpenAI(turns, key=key, pause_s=pause_s)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", model.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0) if listener is None else web.SockSite(runner, listener)
        await site.start()
        model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield model
    finally:
        await runner.cleanup()


def _refusal(fail: Fail) -> web.Response:
    """An error in the shape of the model API."""
    error = {"message": f"scripted {fail.status}", "type": fail.type, "param": None, "code": fail.type}
    return web.json_response({"error": error}, status=fail.status, headers={"retry-after": "1", **fail.headers})


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _asked(request: web.Request) -> Asked:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        body = {}
    headers = {name.lower(): value for name, value in request.headers.items()}
    asked = Asked(request.path, headers, body if isinstance(body, dict) else {})
    return Asked(asked.path, asked.headers, asked.body, _turns_of_assistant(asked))


def _turns_of_assistant(asked: Asked) -> int:
    """Several items of the assistant in a row are one turn."""
    its = [item.get("role") == "assistant" or str(item.get("type")) in _SAID_BY_IT for item in asked.history]
    return sum(1 for before, own in zip([False, *its], its, strict=False) if own and not before)


_SAID_BY_IT = frozenset({"function_call", "custom_tool_call", "reasoning", "local_shell_call"})


def _last_tool_result(asked: Asked) -> str:
    """What the last tool gave back, as text."""
    for item in reversed(asked.history):
        if str(item.get("type", "")).endswith("_output") or item.get("role") == "tool":
            told = item.get("output", item.get("content", ""))
            return told if isinstance(told, str) else "".join(str(part.get("text", "")) for part in told if isinstance(part, dict))
    return ""
