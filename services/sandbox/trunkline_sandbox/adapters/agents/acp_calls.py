"""Calls of tools over the Agent Client Protocol: their states told once, and the questions before them."""

from __future__ import annotations

import json
import re
from posixpath import join, normpath

from pydantic import JsonValue

from trunkline.contracts.run import AgentOutput
from trunkline_sandbox.adapters.agents import jsonrpc, spoken
from trunkline_sandbox.adapters.agents.jsonrpc import Body, Request, items, mapping, string
from trunkline_sandbox.adapters.agents.talking import MOST_ASKS, asked, note, noting, settled, turn_began
from trunkline_sandbox.adapters.agents.wording import argument, decode, one_line
from trunkline_sandbox.model import Ask, Entry, Heard, Talk, Verdict
from trunkline_sandbox.ports import Line

_CALL, _ASKED, _OPTIONS = "call:", "asked:", "options:"
_OVER = frozenset({"completed", "failed"})
_PATCHED = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)
_LOOK_AT = 64 << 10
_PATHS = ("filepath", "filePath", "file_path", "path")


def hear_call(line: Line, update: Body, talk: Talk, workspace: str) -> Heard:
    """The same state comes several times. A call is told once its input is whole, and once when it is over."""
    id, status = string(update.get("toolCallId")), string(update.get("status"))
    name, told = _known(talk, id)
    if told == "over":
        return Heard(talk)
    if update.get("sessionUpdate") == "tool_call":
        name = _name(update) or name
    said: tuple[AgentOutput, ...] = ()
    if told != "told" and (status == "in_progress" or status in _OVER):
        input = mapping(update.get("rawInput"))
        said = (spoken.tool_call(line, spoken.Tool(name or "tool", id), input, _display(update, input, workspace)),)
        told = "told"
    if status not in _OVER:
        return Heard(noting(talk, _CALL + id, f"{told or 'new'} {name}"), said)
    result = spoken.tool_result(line, spoken.Tool(name or None, id), _output(update), is_error=_failed(update))
    return Heard(_settled(noting(talk, _CALL + id, f"over {name}"), id), (*said, result))


def hear_request(line: Line, request: Request, talk: Talk, workspace: str) -> Heard:
    """Anything that is no call to be ruled on is refused at once, or it would wait for ever."""
    if request.method != "session/request_permission" or not talk.ready:
        shown = spoken.raw(line, decode(line.data), display=f"a request: {one_line(request.method, 80)}")
        return Heard(talk, (shown,), (jsonrpc.refusal(request),))
    call = mapping(request.params.get("toolCall"))
    id, input = string(call.get("toolCallId")), mapping(call.get("rawInput"))
    plain: dict[str, JsonValue] = json.loads(json.dumps(dict(input)))
    name = _known(talk, id)[0] or _name(call) or "tool"
    ask = Ask(request.id, name, plain, _ruled(call, input, workspace), one_line(string(call.get("title")), 1000))
    known = noting(_settled(turn_began(talk), id), _OPTIONS + ask.id, json.dumps(_options(request.params)))
    if len(talk.asks) >= MOST_ASKS:
        return Heard(talk, owed=(answer(known, ask, Verdict(False)),))
    return Heard(noting(asked(known, ask), _ASKED + ask.id, id))


def answer(talk: Talk, ask: Ask, verdict: Verdict) -> Entry:
    """The option is chosen by its kind. Another input than was asked about cannot be told, so it is a no."""
    same = verdict.input is None or verdict.input == ask.input
    kind = "allow_once" if verdict.allowed and same else "reject_once"
    chosen = mapping(json.loads(note(talk, _OPTIONS + ask.id) or "{}")).get(kind)
    outcome = {"outcome": "cancelled"} if chosen is None else {"outcome": "selected", "optionId": chosen}
    return jsonrpc.answer(ask.id, {"outcome": outcome})


def _options(params: Body) -> Body:
    return {string(option.get("kind")): option.get("optionId") for option in map(mapping, items(params.get("options")))}


def _known(talk: Talk, id: str) -> tuple[str, str]:
    told, _, name = note(talk, _CALL + id).partition(" ")
    return name, told


def _settled(talk: Talk, call: str) -> Talk:
    """The questions about this call are answered: it goes on, or is asked about anew."""
    for ask in talk.asks:
        if note(talk, _ASKED + ask.id) == call:
            talk = noting(noting(settled(talk, ask.id), _ASKED + ask.id, ""), _OPTIONS + ask.id, "")
    return talk


def _name(call: Body) -> str:
    """The first title of a call is the tool's own name with some programs, and a sentence with others; those have a kind."""
    title = string(call.get("title"))
    plain = bool(title) and len(title) <= 64 and title.replace("_", "").replace("-", "").replace(".", "").isalnum()
    return title if plain and title.isascii() else string(call.get("kind"))


def _ruled(call: Body, input: Body, workspace: str) -> str:
    """What rules look at: the whole command, else every path that is meant, else the whole input."""
    command = input.get("command")
    if isinstance(command, str):
        return command
    paths = [_relative(path, workspace) for path in _touched(call, input) if path]
    return "\n".join(dict.fromkeys(paths)) or json.dumps(dict(input), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _touched(call: Body, input: Body) -> list[str]:
    """Every place that the call names: in the protocol's way, and in that of programs whose patches touch several files."""
    files = [mapping(file) for file in items(input.get("files"))]
    named = [string(mapping(place).get("path")) for place in (*items(call.get("locations")), *items(call.get("content")))]
    named += [string(file.get(name)) for file in files for name in ("filePath", "movePath")]
    return named if any(named) else [string(input.get(name)) for name in _PATHS]


def _relative(path: str, workspace: str) -> str:
    plain = normpath(join(workspace, path))
    return plain.removeprefix(workspace.rstrip("/") + "/") or plain


def _display(update: Body, input: Body, workspace: str) -> str:
    named = next((string(input.get(name)) for name in _PATHS if input.get(name)), "")
    patched = ", ".join(_PATCHED.findall(string(input.get("patchText"))[:_LOOK_AT]))
    return _relative(named, workspace) if named else argument(input, workspace) or patched or string(update.get("title"))


def _output(update: Body) -> object:
    texts = [string(mapping(mapping(part).get("content")).get("text")) for part in items(update.get("content"))]
    raw = mapping(update.get("rawOutput"))
    return "\n".join(text for text in texts if text) or raw.get("output") or raw.get("error") or string(update.get("status"))


def _failed(update: Body) -> bool:
    exit = mapping(mapping(update.get("rawOutput")).get("metadata")).get("exit")
    return update.get("status") == "failed" or (isinstance(exit, int) and exit != 0)
