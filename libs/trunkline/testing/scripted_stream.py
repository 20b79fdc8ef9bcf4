"""The steps of a scripted model turn, and the server-sent events that they make."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """`{last_tool_result}` inside is replaced by what the last tool gave back."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence before the first byte of the turn."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """An HTTP error in place of the turn: once, or each time."""

    status: int
    type: str = "api_error"
    always: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is dropped, after so many events of the stream: once, or each time."""

    after_events: int = 0
    always: bool = False


Step = Text | Thinking | ToolUse | Pause | Fail | Cut
Turn = tuple[Step, ...]

_CHUNK = 40


def stream_turn(turn: Turn, model: str, last_tool_result: str) -> Iterator[str]:
    """The events of one turn, ready for the wire."""
    blocks = [step for step in turn if isinstance(step, Text | Thinking | ToolUse)]
    usage = {"input_tokens": 110, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 50, "output_tokens": 1}
    message = {"id": _id("msg"), "type": "message", "role": "assistant", "model": model, "content": []}
    yield _event("message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage})
    for index, block in enumerate(blocks):
        yield from _block(index, block, last_tool_result)
    stop = "tool_use" if any(isinstance(block, ToolUse) for block in blocks) else "end_turn"
    yield _event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": 12 * len(blocks)})
    yield _event("message_stop")


def _block(index: int, block: Text | Thinking | ToolUse, last_tool_result: str) -> Iterator[str]:
    yield _event("content_block_start", index=index, content_block=_start(block))
    for delta in _deltas(block, last_tool_result):
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _start(block: Text | Thinking | ToolUse) -> dict[str, object]:
    match block:
        case Text():
            return {"type": "text", "text": ""}
        case Thinking():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case ToolUse():
            return {"type": "tool_use", "id": _id("toolu"), "name": block.name, "input": {}}


def _deltas(block: Text | Thinking | ToolUse, last_tool_result: str) -> Iterator[dict[str, str]]:
    match block:
        case Text():
            text = block.text.replace("{last_tool_result}", last_tool_result[:200])
            yield from ({"type": "text_delta", "text": part} for part in _parts(text))
        case Thinking():
            yield {"type": "thinking_delta", "thinking": block.text}
            yield {"type": "signature_delta", "signature": "c2ln"}
        case ToolUse():
            parts = _parts(json.dumps(dict(block.input)))
            yield from ({"type": "input_json_delta", "partial_json": part} for part in parts)


def _parts(text: str) -> Iterator[str]:
    size = max(_CHUNK, len(text) // 100)
    return (text[at : at + size] for at in range(0, len(text), size))


def _event(type: str, **body: object) -> str:
    return f"event: {type}\ndata: {json.dumps({'type': type, **body})}\n\n"


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:24]}"
