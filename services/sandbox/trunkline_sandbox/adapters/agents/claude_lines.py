"""What a line of Claude Code's stream-json means: pure, tolerant, never raising."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from trunkline.contracts.run import AgentOutput
from trunkline_sandbox.adapters.agents import claude_control as control
from trunkline_sandbox.adapters.agents import spoken
from trunkline_sandbox.adapters.agents.claude_result import credential_refused, read_result
from trunkline_sandbox.adapters.agents.judging import noted, said_its_end
from trunkline_sandbox.adapters.agents.talking import note, noting, saw, turn_began
from trunkline_sandbox.adapters.agents.wording import argument, decode, one_line
from trunkline_sandbox.model import Heard, Talk
from trunkline_sandbox.ports import Line

Body = Mapping[str, object]

_MOST_BLOCKS = 32
"""Outputs that one line may make; Claude Code writes one block a line."""
_SILENT = {"tool_progress", "keep_alive"}
_SILENT_SYSTEM = {
    *("thinking_tokens", "status", "hook_started", "hook_response", "hook_progress"),
    *("task_started", "task_progress", "task_updated", "task_notification", "background_tasks_changed"),
}
_TOLD = "session_told"
_SESSION = re.compile(r"[0-9a-f-]{36}")
"""Whatever runs beside Claude Code can write a line too, and this name goes into a command line and into paths."""


def hear(line: Line, talk: Talk, workspace: str) -> Heard:
    """`workspace` is the folder that paths are shown relative to."""
    text = decode(line.data)
    if not text.strip():
        return Heard(talk)
    if line.stderr:
        return Heard(_noting(talk, text), (spoken.message(line, text),))
    body = _object(text)
    if body is None:
        return Heard(_noting(talk, text), (spoken.raw(line, text),))
    return _hear_object(line, body, talk, workspace)


def _noting(talk: Talk, text: str) -> Talk:
    return talk if said_its_end(talk.ending) else replace(talk, ending=noted(talk.ending, text))


def _hear_object(line: Line, body: Body, talk: Talk, workspace: str) -> Heard:
    match body.get("type"):
        case "assistant" | "user":
            return _hear_message(line, body, talk, workspace)
        case "result":
            return _hear_result(line, body, talk)
        case "system":
            return _hear_system(line, body, talk)
        case "command_lifecycle":
            return Heard(control.hear_lifecycle(body, talk))
        case "control_request":
            return control.hear_request(line, body, talk, workspace)
        case "control_response":
            return control.hear_response(body, talk)
        case "control_cancel_request":
            return Heard(control.hear_cancel(body, talk))
        case str(kind) if kind in _SILENT:
            return Heard(talk)
        case kind:
            return Heard(talk, (spoken.raw(line, decode(line.data), display=f"a line of type {kind}"),))


def _hear_message(line: Line, body: Body, talk: Talk, workspace: str) -> Heard:
    if body.get("isReplay") is True:
        return Heard(saw(talk, _text(body.get("uuid")) or ""))
    said = _blocks(line, body, workspace)
    if body.get("type") == "assistant":
        return Heard(turn_began(talk), said)
    for block in _content(body):
        if isinstance(block, Mapping) and block.get("type") == "tool_result":
            talk = control.hear_tool_result(talk, _text(block.get("tool_use_id")) or "")
    return Heard(talk, said)


def _hear_result(line: Line, body: Body, talk: Talk) -> Heard:
    ending = read_result(body, interrupted=bool(note(talk, control.INTERRUPTED)))
    known = replace(talk, ending=ending)
    said = (spoken.notice(line, ending.error, is_error=True),) if ending.code == "AGENT_DENIED" else ()
    return Heard(known if note(talk, control.STATES) else control.rested(known), said)


def _hear_system(line: Line, body: Body, talk: Talk) -> Heard:
    match body.get("subtype"):
        case "init":
            return _hear_init(line, body, talk)
        case "session_state_changed":
            return Heard(control.hear_state(body, talk))
        case "api_retry":
            return _hear_retry(line, body, talk)
        case "permission_denied":
            told = _text(body.get("message")) or f"{_word(body.get('tool_name'))} was denied"
            return Heard(talk, (spoken.notice(line, told, is_error=True),))
        case str(kind) if kind in _SILENT_SYSTEM:
            return Heard(talk)
        case kind:
            return Heard(talk, (spoken.raw(line, decode(line.data), display=f"a system line: {kind}"),))


def _hear_init(line: Line, body: Body, talk: Talk) -> Heard:
    """It comes at the beginning of each turn; people are told once."""
    told = _text(body.get("session_id")) or ""
    known = replace(turn_began(talk), session=told if _SESSION.fullmatch(told) else talk.session)
    if note(talk, _TOLD):
        return Heard(known)
    return Heard(noting(known, _TOLD, "yes"), (_session(line, body),))


def _session(line: Line, body: Body) -> AgentOutput:
    version, model = _word(body.get("claude_code_version")), _word(body.get("model"))
    session = _word(body.get("session_id"))
    return spoken.notice(line, f"Claude Code {version} with {model}", detail={"version": version, "model": model, "session": session})


def _hear_retry(line: Line, body: Body, talk: Talk) -> Heard:
    status, attempt, most = body.get("error_status"), body.get("attempt"), body.get("max_retries")
    answered = f"answered {_word(status)} ({_word(body.get('error'))})" if status is not None else "did not answer"
    wait = body.get("retry_delay_ms")
    seconds = f" in {wait / 1000:.1f} s" if isinstance(wait, int | float) and abs(wait) < 1e9 else ""
    refused = credential_refused(status)
    said = spoken.notice(line, f"the model API {answered}; retry {_word(attempt)} of {_word(most)}{seconds}", is_error=refused is not None)
    return Heard(replace(talk, ending=refused) if refused else talk, (said,))


def _blocks(line: Line, body: Body, workspace: str) -> tuple[AgentOutput, ...]:
    blocks = _content(body)
    outputs = [output for block in blocks[:_MOST_BLOCKS] if (output := _block(line, body, block, workspace))]
    if len(blocks) > _MOST_BLOCKS:
        outputs.append(spoken.notice(line, f"{len(blocks) - _MOST_BLOCKS} more blocks on this line are not shown"))
    return tuple(outputs)


def _content(body: Body) -> list[object]:
    message = body.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


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
    """What stands in the user's place is told by Claude Code about itself (an interrupt, what a sub-agent is asked)."""
    text = _text(block.get("text"))
    if text and body.get("type") == "user":
        return spoken.notice(line, text)
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
