"""The control channel of Claude Code: what it asks between its lines, and what it is told on its stdin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trunkline_sandbox.adapters.agents import claude_hook as hook
from trunkline_sandbox.adapters.agents import spoken
from trunkline_sandbox.adapters.agents.talking import (
    CLOSE,
    MOST_ASKS,
    asked,
    entry,
    json_line,
    note,
    noting,
    saw,
    settled,
    turn_began,
    turn_ended,
)
from trunkline_sandbox.adapters.agents.wording import decode, one_line, telling
from trunkline_sandbox.model import Ask, Entry, Heard, Talk, Verdict
from trunkline_sandbox.ports import Line

Body = Mapping[str, object]

STATES = "tells_its_state"
"""It says itself when it comes to rest; then a result alone is no rest, for what is queued goes on at once."""
INTERRUPTED = "interrupted"
"""We interrupted the turn that is under way."""
_ASKED = "asked:"
_INTERRUPT = "interrupt-"
_TOO_MANY = f"more than {MOST_ASKS} calls wait for a word already; ask again when one of them is answered"
_NO_OBJECT = "the input of this call is no JSON object; ask again with one"


def user_line(text: str, message: str) -> bytes:
    """A message of the user. Claude Code takes any text as its `uuid`, says when it reads it, and drops one that it had before."""
    said = {"role": "user", "content": text}
    return json_line({"type": "user", "message": said, "parent_tool_use_id": None, "uuid": message})


def saying(message: str, text: str) -> Entry:
    return replace(entry("msg", message, {}), data=user_line(text, message))


def permission(ask: Ask, verdict: Verdict) -> Entry:
    """`updatedInput` is always told: an answer without it is none."""
    if verdict.allowed:
        told: Body = {"behavior": "allow", "updatedInput": dict(ask.input if verdict.input is None else verdict.input)}
    else:
        told = {"behavior": "deny", "message": verdict.reason or "This call is not allowed."}
    return entry("answer", ask.id, _response(ask.id, told))


def interruption(wish: str) -> Entry:
    request = entry("interrupt", wish, {})
    return replace(request, data=json_line({"type": "control_request", "request_id": request.id, "request": {"subtype": "interrupt"}}))


def hear_request(line: Line, body: Body, talk: Talk, workspace: str) -> Heard:
    """A question of the program. One that is not about a tool is answered with a no, or it would wait for ever."""
    id, request = _text(body.get("request_id")), body.get("request")
    if not id or not isinstance(request, Mapping):
        return Heard(talk, (spoken.raw(line, decode(line.data), display="a control request without an id"),))
    if request.get("subtype") == "can_use_tool":
        return _hear_call(id, request, turn_began(talk), workspace)
    if request.get("subtype") == "hook_callback":
        return Heard(turn_began(talk), owed=(hook.decided(id, request, talk),))
    kind = one_line(str(request.get("subtype")), 80)
    error = {"type": "control_response", "response": {"subtype": "error", "request_id": id, "error": f"{kind} is not supported here"}}
    return Heard(talk, (spoken.raw(line, decode(line.data), display=f"a control request: {kind}"),), (entry("refuse", id, error),))


def hear_cancel(body: Body, talk: Talk) -> Talk:
    return _forgotten(talk, _text(body.get("request_id")))


def hear_response(body: Body, talk: Talk) -> Heard:
    """Its answer to a request of ours, or our answer to one of its own, which it repeats when it has read it."""
    response = body.get("response")
    if not isinstance(response, Mapping):
        return Heard(talk)
    id = _text(response.get("request_id"))
    if id == hook.INITIALIZE:
        known = hook.hear_applied(response, talk)
        return Heard(known, owed=(interruption("farewell"), CLOSE) if hook.unfit(known) else ())
    if id.startswith(_INTERRUPT):
        return Heard(noting(talk, INTERRUPTED, "yes") if talk.busy else talk)
    return Heard(_forgotten(talk, id))


def hear_lifecycle(body: Body, talk: Talk) -> Talk:
    """A queued message is not seen yet: it dies with the process."""
    message = _text(body.get("command_uuid"))
    match body.get("state"):
        case "started":
            return saw(turn_began(talk), message)
        case "completed":
            return saw(talk, message)
        case _:
            return talk


def hear_state(body: Body, talk: Talk) -> Talk:
    known = noting(talk, STATES, "yes")
    if body.get("state") != "idle":
        return turn_began(known)
    return rested(known) if known.busy else known


def rested(talk: Talk) -> Talk:
    kept = tuple(pair for pair in talk.notes if not pair[0].startswith(_ASKED) and pair[0] != INTERRUPTED)
    return replace(turn_ended(talk), notes=kept)


def hear_tool_result(talk: Talk, tool_use: str) -> Talk:
    """The call is over, whatever became of the question about it."""
    if not talk.asks:
        return talk
    over = next((ask.id for ask in talk.asks if note(talk, _ASKED + ask.id) == tool_use), "")
    return _forgotten(talk, over)


def _hear_call(id: str, request: Body, talk: Talk, workspace: str) -> Heard:
    input = request.get("input")
    ruled = input if isinstance(input, Mapping) else {}
    described = one_line(_text(request.get("description")), 1000)
    ask = Ask(id, one_line(_text(request.get("tool_name")) or "tool"), ruled, telling(ruled, workspace), described)
    refused = _NO_OBJECT if not isinstance(input, Mapping) else _TOO_MANY if len(talk.asks) >= MOST_ASKS else ""
    if refused:
        return Heard(talk, owed=(permission(ask, Verdict(False, refused)),))
    return Heard(noting(asked(talk, ask), _ASKED + id, _text(request.get("tool_use_id"))))


def _forgotten(talk: Talk, id: str) -> Talk:
    return noting(settled(talk, id), _ASKED + id, "") if id else talk


def _response(id: str, told: Body) -> Body:
    return {"type": "control_response", "response": {"subtype": "success", "request_id": id, "response": told}}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
