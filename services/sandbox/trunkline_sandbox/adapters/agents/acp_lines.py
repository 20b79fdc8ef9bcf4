"""What a line of a program means that speaks the Agent Client Protocol: pure, tolerant, never raising."""

from __future__ import annotations

from dataclasses import replace

from trunkline_sandbox.adapters.agents import acp_calls, jsonrpc, spoken
from trunkline_sandbox.adapters.agents.acp_talk import Voice, hear_answer
from trunkline_sandbox.adapters.agents.acp_texts import flushed, piece
from trunkline_sandbox.adapters.agents.jsonrpc import Answer, Body, Notice, Request, mapping, string
from trunkline_sandbox.adapters.agents.judging import noted, said_its_end
from trunkline_sandbox.adapters.agents.talking import turn_began
from trunkline_sandbox.adapters.agents.wording import decode, one_line
from trunkline_sandbox.model import Heard, Talk
from trunkline_sandbox.ports import Line

_SILENT = frozenset(
    "available_commands_update current_mode_update config_option_update session_info_update usage_update user_message_chunk".split()
)


def hear(line: Line, talk: Talk, voice: Voice) -> Heard:
    text = decode(line.data)
    if not text.strip():
        return Heard(talk)
    if line.stderr:
        return Heard(_noting(talk, text), (spoken.message(line, text),))
    match None if line.cut else jsonrpc.read(text):
        case Answer() as answer:
            return hear_answer(line, answer, talk, voice)
        case Request() as request:
            return acp_calls.hear_request(line, request, talk, voice.workspace)
        case Notice(method="session/update") as notice:
            return _hear_update(line, mapping(notice.params.get("update")), talk, voice) if _ours(notice, talk) else Heard(talk)
        case Notice() as notice:
            return Heard(talk, (spoken.raw(line, text, display=f"a notification: {one_line(notice.method, 80)}"),))
        case None:
            return Heard(_noting(talk, text), (spoken.raw(line, text),))


def _noting(talk: Talk, text: str) -> Talk:
    return talk if said_its_end(talk.ending) else replace(talk, ending=noted(talk.ending, text))


def _ours(notice: Notice, talk: Talk) -> bool:
    """What is told before the conversation stands is its past, told again; other sessions are those of sub-agents."""
    return talk.ready and notice.params.get("sessionId") in (talk.session, None)


def _hear_update(line: Line, update: Body, talk: Talk, voice: Voice) -> Heard:
    kind = update.get("sessionUpdate")
    match kind:
        case "agent_message_chunk" | "agent_thought_chunk":
            content = mapping(update.get("content"))
            text = string(content.get("text")) or f"[{one_line(string(content.get('type')), 40)}]"
            whose = string(update.get("messageId"))
            return Heard(*piece(line, turn_began(talk), text, whose=whose, thought=kind == "agent_thought_chunk"))
        case "tool_call" | "tool_call_update":
            known, before = flushed(line, turn_began(talk) if kind == "tool_call" else talk)
            heard = acp_calls.hear_call(line, update, known, voice.workspace)
            return replace(heard, said=(*before, *heard.said))
        case "plan":
            return Heard(talk, (spoken.notice(line, _plan(update)),))
        case str(name) if name in _SILENT:
            return Heard(talk)
        case _:
            return Heard(talk, (spoken.raw(line, decode(line.data), display=f"an update: {one_line(str(kind), 80)}"),))


def _plan(update: Body) -> str:
    entries = [mapping(entry) for entry in jsonrpc.items(update.get("entries"))]
    return "plan: " + "; ".join(f"{string(entry.get('content'))} ({string(entry.get('status'))})" for entry in entries)
