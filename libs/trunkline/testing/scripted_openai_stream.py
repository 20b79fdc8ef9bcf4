"""The server-sent events that a scripted turn makes in the two shapes of the OpenAI API: Responses and Chat Completions."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.testing.scripted_stream import Cut, Fail, Pause, Text, Thinking, ToolUse

__all__ = ["FreeTool", "Step", "Turn", "stream_chat", "stream_responses"]


@dataclass(frozen=True, slots=True)
class FreeTool:
    """A tool whose input is any text, as a patch is."""

    name: str
    input: str


Step = Text | Thinking | ToolUse | FreeTool | Pause | Fail | Cut
Turn = tuple[Step, ...]
Block = Text | Thinking | ToolUse | FreeTool
Event = Mapping[str, Any]

_SESSION = re.compile(r"session ID (\d+)")
TOKENS = {
    "input_tokens": 120,
    "input_tokens_details": {"cached_tokens": 20},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 150,
}


def stream_responses(turn: Turn, model: str, last_tool_result: str) -> Iterator[str]:
    """The events of one turn of `POST /v1/responses`, ready for the wire."""
    response = {"id": _id("resp"), "object": "response", "model": model}
    yield _named({"type": "response.created", "response": {**response, "status": "in_progress", "output": []}})
    output = []
    for index, block in enumerate(_blocks(turn)):
        item = _item(block, last_tool_result)
        output.append(item)
        yield from map(_named, _item_events(index, item))
    over = {**response, "status": "completed", "output": output, "usage": TOKENS}
    yield _named({"type": "response.completed", "response": over})


def stream_chat(turn: Turn, model: str, last_tool_result: str) -> Iterator[str]:
    """The events of one turn of `POST /v1/chat/completions`, ready for the wire."""
    base = {"id": _id("chatcmpl"), "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
    blocks = _blocks(turn)
    for block in blocks:
        for delta in _deltas(block, last_tool_result):
            yield _data({**base, "choices": [{"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None}]})
    reason = "tool_calls" if any(isinstance(block, ToolUse) for block in blocks) else "stop"
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    yield _data({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage})
    yield "data: [DONE]\n\n"


def _blocks(turn: Turn) -> list[Block]:
    return [step for step in turn if isinstance(step, Text | Thinking | ToolUse | FreeTool)]


def _item(block: Block, last_tool_result: str) -> dict[str, Any]:
    name = uuid.uuid4().hex[:12]
    match block:
        case FreeTool():
            call = {"call_id": f"call_{name}", "name": block.name, "input": block.input}
            return {"type": "custom_tool_call", "id": f"ctc_{name}", "status": "completed", **call}
        case ToolUse():
            call = {"call_id": f"call_{name}", "name": block.name, "arguments": _spelled(block, last_tool_result)}
            return {"type": "function_call", "id": f"fc_{name}", "status": "completed", **call}
        case Thinking():
            return {"type": "reasoning", "id": f"rs_{name}", "summary": [{"type": "summary_text", "text": block.text}]}
        case Text():
            part = {"type": "output_text", "text": _filled(block, last_tool_result), "annotations": []}
            return {"type": "message", "id": f"msg_{name}", "role": "assistant", "status": "completed", "content": [part]}


def _item_events(index: int, item: dict[str, Any]) -> Iterator[Event]:
    place = {"output_index": index, "item_id": item["id"]}
    blank = {**item, **({"content": []} if item["type"] == "message" else {"summary": []} if item["type"] == "reasoning" else {})}
    yield {"type": "response.output_item.added", "output_index": index, "item": blank}
    if item["type"] == "message":
        for text in _parts(item["content"][0]["text"]):
            yield {"type": "response.output_text.delta", **place, "content_index": 0, "delta": text}
    if item["type"] == "reasoning":
        part = {"summary_index": 0, "part": {"type": "summary_text", "text": ""}}
        yield {"type": "response.reasoning_summary_part.added", **place, **part}
        yield {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": item["summary"][0]["text"]}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _deltas(block: Block, last_tool_result: str) -> Iterator[dict[str, Any]]:
    match block:
        case Thinking():
            yield {"reasoning_content": block.text}
        case Text():
            yield from ({"content": text} for text in _parts(_filled(block, last_tool_result)))
        case ToolUse():
            function = {"name": block.name, "arguments": json.dumps(dict(block.input))}
            yield {"tool_calls": [{"index": 0, "id": _id("call"), "type": "function", "function": function}]}
        case FreeTool():
            raise ValueError("Chat Completions have no tools with free input; script this turn for Responses")


def _spelled(block: ToolUse, last_tool_result: str) -> str:
    """`"{session}"` as a value is the number of the session that the last tool told."""
    told = _SESSION.search(last_tool_result)
    return json.dumps(dict(block.input)).replace('"{session}"', told[1] if told else "1")


def _filled(block: Text, last_tool_result: str) -> str:
    return block.text.replace("{last_tool_result}", last_tool_result[:200])


def _parts(text: str) -> Iterator[str]:
    size = max(20, len(text) // 100)
    return (text[at : at + size] for at in range(0, len(text), size))


def _named(event: Event) -> str:
    return f"event: {event['type']}\n{_data(event)}"


def _data(event: Event) -> str:
    return f"data: {json.dumps(event)}\n\n"


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:24]}"
