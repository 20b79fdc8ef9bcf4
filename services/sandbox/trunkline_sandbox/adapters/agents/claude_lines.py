"""What a line of Claude Code's stream-json means: pure, tolerant, never raising."""

from __future__ import annotations

import json
from collections.abc import Mapping

from trunkline.contracts.run import AgentOutput
from trunkline_sandbox.adapters.agents import spoken
from trunkline_sandbox.adapters.agents.claude_result import credential_refused, read_result
from trunkline_sandbox.adapters.agents.judging import noted, said_its_end
from trunkline_sandbox.adapters.agents.wording import argument, decode, one_line
from trunkline_sandbox.ports import Ending, Heard, Line

Body = Mapping[str, object]

_MOST_BLOCKS = 32
"""Outputs that one line may make; Claude Code writes one block a line."""
_SILENT = {"tool_progress", "command_lifecycle", "keep_alive"}
_SILENT_SYSTEM = {"thinking_tokens", "status", "hook_started", "hook_response", "hook_progress"}


def hear(line: Line, known: Ending | None, workspace: str) -> Heard:
    """`workspace` is the folder that paths are shown relative to."""
    text = decode(line.data)
    if not text.strip():
        return Heard()
    if line.stderr:
        return Heard((spoken.message(line, text),), None if said_its_end(known) else noted(known, text))
    body = _object(text)
    if body is None:
        return Heard((spoken.raw(line, text),), None if said_its_end(known) else noted(known, text))
    return _hear_object(line, text, body, workspace)


def _hear_object(line: Line, text: str, body: Body, workspace: str) -> Heard:
    match body.get("type"):
        case "assistant" | "user":
            return Heard(_blocks(line, body, workspace))
        case "result":
            return _hear_result(line, body)
        case "system":
            return _hear_system(line, text, body)
        case str(kind) if kind in _SILENT:
            return Heard()
        case kind:
            return Heard((spoken.raw(line, text, display=f"a line of type {kind}"),))


def _hear_result(line: Line, body: Body) -> Heard:
    ending = read_result(body)
    if ending.code == "AGENT_DENIED":
        return Heard((spoken.notice(line, ending.error, is_error=True),), ending)
    return Heard(ending=ending)


def _hear_system(line: Line, text: str, body: Body) -> Heard:
    match body.get("subtype"):
        case "init":
            return Heard((_session(line, body),))
        case "api_retry":
            return _hear_retry(line, body)
        case str(kind) if kind in _SILENT_SYSTEM:
            return Heard()
        case kind:
            return Heard((spoken.raw(line, text, display=f"a system line: {kind}"),))


def _session(line: Line, body: Body) -> AgentOutput:
    version, model = _word(body.get("claude_code_version")), _word(body.get("model"))
    session = _word(body.get("session_id"))
    return spoken.notice(line, f"Claude Code {version} with {model}", detail={"version": version, "model": model, "session": session})


def _hear_retry(line: Line, body: Body) -> Heard:
    status, attempt, most = body.get("error_status"), body.get("attempt"), body.get("max_retries")
    answered = f"answered {_word(status)} ({_word(body.get('error'))})" if status is not None else "did not answer"
    wait = body.get("retry_delay_ms")
    seconds = f" in {wait / 1000:.1f} s" if isinstance(wait, int | float) and abs(wait) < 1e9 else ""
    refused = credential_refused(status)
    said = spoken.notice(line, f"the model API {answered}; retry {_word(attempt)} of {_word(most)}{seconds}", is_error=refused is not None)
    return Heard((said,), refused)


def _blocks(line: Line, body: Body, workspace: str) -> tuple[AgentOutput, ...]:
    message = body.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    outputs = [output for block in blocks[:_MOST_BLOCKS] if (output := _block(line, body, block, workspace))]
    if len(blocks) > _MOST_BLOCKS:
        outputs.append(spoken.notice(line, f"{len(blocks) - _MOST_BLOCKS} more blocks on this line are not shown"))
    return tuple(outputs)


def _block(line: Line, body: Body, block: object, workspace: str) -> AgentOutput | None:
    if not isinstance(block, Mapping):
        return spoken.raw(line, decode(line.data), display="a content block that is no object")
    parent = _text(body.get("parent_tool_use_id"))
    match block.get("type"):
        case "text":
            return _message(line, body, block)
        case "thinking":
            return spoken.thinking(line, _text(block.get("thinking")) or "…")
        case "tool_use":
            input = block.get("input")
            input = input if isinstance(input, Mapping) else {}
            tool = spoken.Tool(_text(block.get("name")) or "tool", _text(block.get("id")), parent)
            return spoken.tool_call(line, tool, input, argument(input, workspace))
        case "tool_result":
            tool = spoken.Tool(None, _text(block.get("tool_use_id")), parent)
            return spoken.tool_result(line, tool, _plain(block.get("content")), is_error=block.get("is_error") is True)
        case kind:
            return spoken.raw(line, decode(line.data), display=f"a content block of type {kind}")


def _message(line: Line, body: Body, block: Body) -> AgentOutput | None:
    text = _text(block.get("text"))
    return spoken.message(line, text, is_error=body.get("is_api_error_message") is True) if text else None


def _plain(content: object) -> object:
    """A tool's result as text where it is text: blocks of text are joined, others are named."""
    if not isinstance(content, list):
        return content if content is not None else ""
    parts = [block if isinstance(block, Mapping) else {} for block in content]
    return "\n".join(_text(part.get("text")) or f"[{_word(part.get('type'))}]" for part in parts)


def _object(text: str) -> Body | None:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _word(value: object) -> str:
    return one_line(str(value), 80)
