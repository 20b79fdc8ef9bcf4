"""What an agent did or said, as facts of the timeline: every field bounded, whatever the agent wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from trunkline.contracts.run import AgentOutput, Said
from trunkline_sandbox.adapters.agents.wording import clip, one_line
from trunkline_sandbox.ports import Line

_RAW_LIMIT = 4 << 10


@dataclass(frozen=True, slots=True)
class Tool:
    """The tool that an output is about. `id` ties a result to its call."""

    name: str | None = None
    id: str | None = None
    parent: str | None = None
    """The call of the sub-agent that this happened in."""

    def detail(self) -> dict[str, JsonValue]:
        told = {"id": self.id, "parent": self.parent}
        return {key: one_line(value) for key, value in told.items() if value}


def message(line: Line, text: str, *, is_error: bool = False) -> AgentOutput:
    detail: dict[str, JsonValue] = {"stream": "stderr"} if line.stderr else {}
    if line.cut:
        detail["cut_bytes"] = line.cut
    return _output(line, Said.MESSAGE, text).model_copy(update={"is_error": is_error, "detail": detail})


def thinking(line: Line, text: str) -> AgentOutput:
    return _output(line, Said.THINKING, text)


def notice(line: Line, text: str, *, is_error: bool = False, detail: Mapping[str, JsonValue] | None = None) -> AgentOutput:
    return _output(line, Said.NOTICE, text).model_copy(update={"is_error": is_error, "detail": dict(detail or {})})


def tool_call(line: Line, tool: Tool, input: Mapping[str, object], display: str) -> AgentOutput:
    """The input is kept as JSON in `text`."""
    update = {"tool": one_line(tool.name or "tool"), "display": one_line(display), "detail": tool.detail()}
    return _output(line, Said.TOOL_CALL, _json(input)).model_copy(update=update)


def tool_result(line: Line, tool: Tool, output: object, *, is_error: bool = False) -> AgentOutput:
    text = output if isinstance(output, str) else _json(output)
    update = {"tool": one_line(tool.name) if tool.name else None, "is_error": is_error, "detail": tool.detail()}
    return _output(line, Said.TOOL_RESULT, text).model_copy(update=update)


def raw(line: Line, text: str, display: str = "") -> AgentOutput:
    update = {"display": one_line(display or text), "detail": {"cut_bytes": line.cut} if line.cut else {}}
    return _output(line, Said.RAW, clip(text, _RAW_LIMIT)).model_copy(update=update)


def _output(line: Line, kind: Said, text: str) -> AgentOutput:
    return AgentOutput(attempt=0, line=line.number, kind=kind, text=clip(text), display=one_line(text))


def _json(body: object) -> str:
    return json.dumps(body, ensure_ascii=False, default=str)
