"""What Claude Code asks about though it thinks it harmless: a hook before every tool, answered over its own stdin, that fails closed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from trunkline.contracts.calls import Ruling, ToolRule
from trunkline_sandbox.adapters.agents.talking import entry, json_line, note, noting
from trunkline_sandbox.model import AgentTask, Ask, Ending, Entry, Talk
from trunkline_sandbox.model.rules import fits

Body = Mapping[str, object]

INITIALIZE = "initialize"
"""The id of our first request."""
_ALWAYS = "asked_always"
_UNFIT = "cannot_ask"
_HOOK = {"matcher": "*", "hookCallbackIds": ["before-tool"], "timeout": 86_400, "onFailure": "block"}
_ASK = {"hookEventName": "PreToolUse", "permissionDecision": "ask", "permissionDecisionReason": "a rule asks"}
_CANNOT_ASK = "this version of Claude Code cannot be made to ask before it uses a tool, which rules here want; install a newer one"


def wanted(task: AgentTask) -> bool:
    return task.supervised and bool(task.asked_always)


def initialize_line(task: AgentTask) -> bytes:
    """The first line on stdin, where the hook is wanted; else nothing, for then it is not needed."""
    if not wanted(task):
        return b""
    request = {"subtype": "initialize", "hooks": {"PreToolUse": [_HOOK]}}
    return json_line({"type": "control_request", "request_id": INITIALIZE, "request": request})


def watching(talk: Talk, task: AgentTask) -> Talk:
    """The conversation of a task that is asked about; it remembers which tools."""
    return noting(talk, _ALWAYS, json.dumps(task.asked_always)) if wanted(task) else talk


def hear_applied(response: Body, talk: Talk) -> Talk:
    """The answer to `initialize`: without its word that the hook is there and blocks when it fails, nothing may run."""
    told = response.get("response")
    sure = isinstance(told, Mapping) and told.get("hooks_applied") is True and told.get("hook_on_failure_supported") is True
    return talk if sure else noting(talk, _UNFIT, "yes")


def unfit(talk: Talk) -> Ending | None:
    return Ending(ok=False, code="AGENT_CANNOT_ASK", error=_CANNOT_ASK) if note(talk, _UNFIT) else None


def decided(id: str, request: Body, talk: Talk) -> Entry:
    """Either it has to ask, by its own means, or it goes on as it would without us. What cannot be read is asked about."""
    input = request.get("input")
    tool = input.get("tool_name") if isinstance(input, Mapping) else None
    told: Body = {}
    if not isinstance(tool, str) or any(_fits(pattern, tool) for pattern in json.loads(note(talk, _ALWAYS) or '["*"]')):
        told = {
            "hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "ask", "permissionDecisionReason": "a rule asks"}
        }
    return entry("hook", id, {"type": "control_response", "response": {"subtype": "success", "request_id": id, "response": told}})


def _fits(pattern: str, tool: str) -> bool:
    return fits(ToolRule(tool=pattern, then=Ruling.ASK), Ask("", tool, {}, ""))
