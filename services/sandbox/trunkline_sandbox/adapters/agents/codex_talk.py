"""How a conversation with Codex begins and is spoken in: the requests that it is told, and what their answers do."""

from __future__ import annotations

import json
from dataclasses import replace

from trunkline_sandbox.adapters.agents import codex_ending, jsonrpc, spoken
from trunkline_sandbox.adapters.agents.codex_config import beginning
from trunkline_sandbox.adapters.agents.jsonrpc import Answer, Body, mapping, string
from trunkline_sandbox.adapters.agents.talking import CLOSE, note, noting, saw, turn_began, turn_ended
from trunkline_sandbox.adapters.agents.wording import one_line
from trunkline_sandbox.model import AgentTask, Ending, Entry, Heard, Talk
from trunkline_sandbox.ports import Line

OVER = "over"
"""The turn that ended last."""
_PROMPT = "prompt"
_BEGIN = "begin"
_CLIENT: Body = {"name": "trunkline", "title": "Trunkline", "version": "0.1.0"}
# Without it the commands of an interrupted turn cannot be ended.
_HELLO = jsonrpc.request("hs", "1", "initialize", {"clientInfo": _CLIENT, "capabilities": {"experimentalApi": True}})


def hello() -> bytes:
    return _HELLO.data


def opening(task: AgentTask) -> Talk:
    """The task waits in the talk until there is a conversation to tell it in."""
    method, params = beginning(task)
    notes = {_BEGIN: json.dumps([method, params]), _PROMPT: task.prompt}
    session = "" if task.fork else task.session
    known = tuple(sorted((name, value) for name, value in notes.items() if value))
    return Talk(session=session, busy=bool(task.prompt) or not task.session, notes=known)


def saying(talk: Talk, message: str, text: str) -> Entry:
    """Begins a turn, or goes into the one that is under way: Codex looks, so no end of a turn comes between."""
    return jsonrpc.request("msg", message, "turn/start", _turn(talk, message, text))


def interruption(talk: Talk, wish: str) -> tuple[Entry, ...]:
    turn = note(talk, "turn")
    if not turn:
        return ()
    return (jsonrpc.request("interrupt", wish, "turn/interrupt", {"threadId": talk.session, "turnId": turn}),)


def hear_answer(line: Line, answer: Answer, talk: Talk) -> Heard:
    if answer.id == _HELLO.id:
        return _lost(talk, answer.error) if answer.error is not None else _greeted(talk)
    if answer.id == "hs-2":
        return _lost(talk, answer.error) if answer.error is not None else _begun(line, answer.result, talk)
    if not answer.id.startswith(("turn-", "msg-")):
        return Heard(talk)
    if answer.error is None:
        turn = string(mapping(answer.result.get("turn")).get("id"))
        return Heard(noting(turn_began(talk), "turn", turn) if turn and turn != note(talk, OVER) else talk)
    return _unsaid(line, answer, talk)


def _greeted(talk: Talk) -> Heard:
    method, params = json.loads(note(talk, _BEGIN) or '["thread/start", {}]')
    ready = Entry("hs-ready", jsonrpc.notice("initialized"))
    return Heard(noting(talk, _BEGIN, ""), owed=(ready, jsonrpc.request("hs", "2", method, params)))


def _begun(line: Line, result: Body, talk: Talk) -> Heard:
    thread = mapping(result.get("thread"))
    session, model, version = (string(value) for value in (thread.get("id"), result.get("model"), thread.get("cliVersion")))
    known = noting(noting(replace(talk, session=session, ready=True), "model", one_line(model, 100)), _PROMPT, "")
    detail = {"version": version, "model": model, "session": session}
    said = spoken.notice(line, f"Codex {one_line(version, 80)} with {one_line(model, 80)}", detail={**detail})
    if not talk.busy:
        return Heard(known, (said,))
    prompt = note(talk, _PROMPT)
    return Heard(known, (said,), (jsonrpc.request("turn", "1", "turn/start", _turn(known, "task", prompt)),))


def _lost(talk: Talk, error: Body) -> Heard:
    """Nothing can be done in it, so it is sent home."""
    return Heard(replace(turn_ended(talk), ending=codex_ending.no_conversation(error)), owed=(CLOSE,))


def _unsaid(line: Line, answer: Answer, talk: Talk) -> Heard:
    """The task or a message was not taken; a message then counts as seen, or it would be waited for."""
    told = one_line(string(mapping(answer.error).get("message")) or json.dumps(answer.error), 500)
    said = (spoken.notice(line, f"Codex did not take a message: {told}", is_error=True),)
    if answer.id.startswith("msg-"):
        return Heard(saw(talk, answer.id.removeprefix("msg-")), said)
    failed = Ending(ok=False, code="AGENT_FAILED", error=f"Codex did not take the task: {told}")
    return Heard(replace(turn_ended(talk), ending=failed), said)


def _turn(talk: Talk, message: str, text: str) -> Body:
    return {"threadId": talk.session, "input": [{"type": "text", "text": text}], "clientUserMessageId": message}
