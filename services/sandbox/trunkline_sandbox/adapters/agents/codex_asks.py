"""What Codex asks before it acts, and the answer."""

from __future__ import annotations

import json

from pydantic import JsonValue

from trunkline_sandbox.adapters.agents import jsonrpc, spoken
from trunkline_sandbox.adapters.agents.codex_items import PATCH, SHELL, paths
from trunkline_sandbox.adapters.agents.jsonrpc import Body, Request, string
from trunkline_sandbox.adapters.agents.shell_words import script
from trunkline_sandbox.adapters.agents.talking import MOST_ASKS, asked, note, noting, settled, turn_began
from trunkline_sandbox.adapters.agents.wording import one_line
from trunkline_sandbox.model import Ask, Entry, Heard, Talk, Verdict
from trunkline_sandbox.ports import Line

COMMAND = "item/commandExecution/requestApproval"
CHANGE = "item/fileChange/requestApproval"
_CHANGES = "changes:"
_MORE = ("kind", "environmentId", "networkApprovalContext", "grantRoot")


def hear(line: Line, request: Request, talk: Talk, workspace: str) -> Heard:
    """Anything that is no call to be ruled on is refused at once, or it would wait for ever."""
    ask = _ask(request, talk, workspace)
    if ask is None:
        shown = spoken.raw(line, line.data.decode("utf-8", "replace"), display=f"a request: {one_line(request.method, 80)}")
        return Heard(talk, (shown,), (jsonrpc.refusal(request),))
    if len(talk.asks) >= MOST_ASKS:
        return Heard(talk, owed=(answer(ask, Verdict(False)),))
    return Heard(asked(turn_began(talk), ask))


def hear_resolved(params: Body, talk: Talk) -> Talk:
    return settled(talk, json.dumps(params.get("requestId")))


def answer(ask: Ask, verdict: Verdict) -> Entry:
    """Another input than was asked about cannot be told, so it is a no."""
    same = verdict.input is None or verdict.input == ask.input
    return jsonrpc.answer(ask.id, {"decision": "accept" if verdict.allowed and same else "decline"})


def begun(item: Body, talk: Talk) -> Talk:
    """The question about a patch names its item only, so what the patch does is kept until then."""
    if item.get("type") != "fileChange":
        return talk
    return noting(talk, _CHANGES + string(item.get("id")), json.dumps(item.get("changes")))


def over(item: Body, talk: Talk) -> Talk:
    return noting(talk, _CHANGES + string(item.get("id")), "") if item.get("type") == "fileChange" else talk


def _ask(request: Request, talk: Talk, workspace: str) -> Ask | None:
    params = request.params
    described = one_line(string(params.get("reason")), 1000)
    more = {name: params[name] for name in _MORE if params.get(name)}
    if request.method == COMMAND and isinstance(params.get("command"), str):
        command = string(params.get("command"))
        input = {"command": command, "cwd": params.get("cwd"), **more}
        return Ask(request.id, SHELL, _plain(input), script(command), described)
    if request.method == CHANGE and (changes := note(talk, _CHANGES + string(params.get("itemId")))):
        input = {"changes": json.loads(changes), **more}
        # What names no file could not be ruled on.
        named = "\n".join(paths(input["changes"], workspace))
        return Ask(request.id, PATCH, _plain(input), named, described) if named else None
    return None


def _plain(input: dict[str, object]) -> dict[str, JsonValue]:
    plain: dict[str, JsonValue] = json.loads(json.dumps(input))
    return plain
