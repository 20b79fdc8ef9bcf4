"""How a conversation over the Agent Client Protocol begins and is spoken in: the requests, and what their answers do."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from trunkline_sandbox.adapters.agents import acp_ending, jsonrpc, spoken
from trunkline_sandbox.adapters.agents.acp_texts import flushed, last_text
from trunkline_sandbox.adapters.agents.jsonrpc import Answer, Body, mapping, string
from trunkline_sandbox.adapters.agents.talking import CLOSE, note, noting, saw, turn_began, turn_ended
from trunkline_sandbox.adapters.agents.wording import one_line
from trunkline_sandbox.model import AgentTask, Entry, Heard, Talk
from trunkline_sandbox.ports import Line

_PROMPT = "prompt"
_BEGIN = "begin"
_ORIGIN = "origin"
"""The conversation that it was to go on with."""
_OPEN = "open:"
"""Messages that are taken in and not answered yet, by the ids of their requests."""
_DONE = "done:"
"""The same, answered before their echo came."""
_ECHO = "seen-"
_OURS = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
_HELLO = jsonrpc.request(
    "hs",
    "1",
    "initialize",
    {"protocolVersion": 1, "clientCapabilities": _OURS, "clientInfo": {"name": "trunkline", "version": "0.1.0"}},
)


@dataclass(frozen=True, slots=True)
class Voice:
    """What a program of the protocol is called, and whose key its model wants."""

    called: str
    variable: str
    """How the variables of the model's key and address begin."""
    workspace: str = "/workspace"


def hello() -> bytes:
    return _HELLO.data


def opening(task: AgentTask) -> Talk:
    """The task waits in the talk until there is a conversation to tell it in."""
    begin = json.dumps({"session": task.session, "fork": task.fork, "cwd": task.workspace})
    notes = {_BEGIN: begin, _PROMPT: task.prompt, "cwd": task.workspace, _ORIGIN: task.session}
    known = tuple(sorted((name, value) for name, value in notes.items() if value))
    return Talk(session="" if task.fork else task.session, busy=bool(task.prompt) or not task.session, notes=known)


def saying(talk: Talk, message: str, text: str) -> tuple[Entry, ...]:
    """Nothing is told back until the turn is over, so a question behind it, answered at once, says that it was read."""
    said = jsonrpc.request("msg", message, "session/prompt", _prompt(talk, message, text))
    return said, jsonrpc.request("seen", said.id, "session/list", {"cwd": note(talk, "cwd")})


def interruption(talk: Talk, wish: str) -> tuple[Entry, ...]:
    """Whoever interrupts answers what is asked; else it would wait for that."""
    named = jsonrpc.request("interrupt", wish, "", {})
    cancel = replace(named, data=jsonrpc.notice("session/cancel", {"sessionId": talk.session}))
    return (cancel, *(jsonrpc.answer(ask.id, {"outcome": {"outcome": "cancelled"}}) for ask in talk.asks))


def hear_answer(line: Line, answer: Answer, talk: Talk, voice: Voice) -> Heard:
    if answer.id in (_HELLO.id, "hs-2") and answer.error is not None:
        return _lost(talk, answer.error, voice)
    if answer.id == _HELLO.id:
        return _greeted(talk, answer.result)
    if answer.id == "hs-2":
        return _begun(line, answer.result, talk, voice)
    if answer.id.startswith(_ECHO):
        return _echoed(answer.id.removeprefix(_ECHO), talk)
    if answer.id.startswith(("turn-", "msg-")):
        return _answered(line, answer, talk, voice)
    return Heard(talk)


def _greeted(talk: Talk, result: Body) -> Heard:
    """An old conversation is gone on with without having it told again, where the program can do that."""
    can = mapping(mapping(result.get("agentCapabilities")).get("sessionCapabilities"))
    agent = mapping(result.get("agentInfo"))
    version = one_line(string(agent.get("version")), 80)
    begin = mapping(json.loads(note(talk, _BEGIN) or "{}"))
    params = {"cwd": begin.get("cwd"), "mcpServers": [], **({"sessionId": begin["session"]} if begin.get("session") else {})}
    method = "session/new"
    if begin.get("session"):
        method = "session/fork" if begin.get("fork") else "session/resume" if "resume" in can else "session/load"
    known = noting(noting(talk, _BEGIN, ""), "version", version)
    return Heard(known, owed=(jsonrpc.request("hs", "2", method, params),))


def _begun(line: Line, result: Body, talk: Talk, voice: Voice) -> Heard:
    session = string(result.get("sessionId")) or talk.session
    known = noting(replace(talk, session=session, ready=True), _PROMPT, "")
    version, model = note(talk, "version"), one_line(_model(result), 80)
    said = spoken.notice(
        line, f"{voice.called} {version} with {model}", detail={"version": version, "model": model, "session": one_line(session)}
    )
    if not talk.busy:
        return Heard(known, (said,))
    task = jsonrpc.request("turn", "1", "session/prompt", _prompt(known, "task", note(talk, _PROMPT)))
    return Heard(noting(known, _OPEN + task.id, "yes"), (said,), (task,))


def _echoed(id: str, talk: Talk) -> Heard:
    known = saw(talk, id.removeprefix("msg-"))
    if note(talk, _DONE + id):
        return Heard(noting(known, _DONE + id, ""))
    return Heard(noting(turn_began(known), _OPEN + id, "yes"))


def _answered(line: Line, answer: Answer, talk: Talk, voice: Voice) -> Heard:
    """The turn is over when every message of it is answered."""
    told, said = flushed(line, talk)
    ending = acp_ending.of_turn(answer, last_text(told), voice.called, voice.variable)
    known = noting(replace(told, ending=ending), _OPEN + answer.id, "")
    if answer.id.startswith("msg-"):
        known = saw(known, answer.id.removeprefix("msg-"))
        known = known if note(talk, _OPEN + answer.id) else noting(known, _DONE + answer.id, "yes")
    if ending.code and not ending.ok and answer.error is not None:
        said = (*said, spoken.notice(line, ending.error, is_error=True))
    left = any(name.startswith(_OPEN) for name, _ in known.notes)
    return Heard(known if left or not known.busy else _rested(known), said)


def _rested(talk: Talk) -> Talk:
    kept = tuple(pair for pair in talk.notes if not pair[0].startswith(("asked:", "options:", "call:", "text:")))
    return replace(turn_ended(talk), notes=kept)


def _lost(talk: Talk, error: Body, voice: Voice) -> Heard:
    """Nothing can be done in it, so it is sent home."""
    ending = acp_ending.no_conversation(error, voice.called, known=bool(note(talk, _ORIGIN)))
    return Heard(replace(turn_ended(talk), ending=ending), owed=(CLOSE,))


def _prompt(talk: Talk, message: str, text: str) -> Body:
    return {"sessionId": talk.session, "prompt": [{"type": "text", "text": text}], "messageId": message}


def _model(result: Body) -> str:
    options = [mapping(option) for option in jsonrpc.items(result.get("configOptions"))]
    chosen = next((option for option in options if option.get("id") == "model"), {})
    return string(chosen.get("currentValue")) or "its own model"
