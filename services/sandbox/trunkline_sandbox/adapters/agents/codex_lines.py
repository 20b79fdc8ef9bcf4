"""What a line of Codex's app server means: pure, tolerant, never raising."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from trunkline.contracts.run import Usage
from trunkline_sandbox.adapters.agents import codex_asks, codex_ending, codex_items, jsonrpc, spoken
from trunkline_sandbox.adapters.agents.codex_talk import OVER, hear_answer
from trunkline_sandbox.adapters.agents.jsonrpc import Answer, Body, Notice, Request, count, mapping, string
from trunkline_sandbox.adapters.agents.judging import noted, said_its_end, shorten
from trunkline_sandbox.adapters.agents.talking import note, noting, saw, turn_began, turn_ended
from trunkline_sandbox.adapters.agents.wording import decode, one_line
from trunkline_sandbox.model import Ending, Heard, Talk
from trunkline_sandbox.ports import Line

_SILENT = frozenset(
    "thread/started thread/status/changed thread/closed thread/goal/cleared thread/goal/updated thread/name/updated thread/compacted "
    "thread/settings/updated thread/queue/changed thread/readState/changed turn/diff/updated turn/plan/updated "
    "account/updated account/rateLimits/updated remoteControl/status/changed skills/changed deprecationNotice "
    "hook/started hook/completed mcpServer/startupStatus/updated item/mcpToolCall/progress "
    "item/fileChange/outputDelta item/fileChange/patchUpdated item/commandExecution/outputDelta "
    "item/agentMessage/delta item/plan/delta "
    "item/reasoning/summaryTextDelta item/reasoning/summaryPartAdded item/reasoning/textDelta "
    "model/verification model/safetyBuffering/updated turn/moderationMetadata".split()
)
_NOTICES = frozenset({"warning", "configWarning", "guardianWarning", "model/rerouted"})
_BEFORE = "before"
"""Tokens that were counted before."""
_SAID = "said"
"""The last message of the turn."""


def hear(line: Line, talk: Talk, workspace: str) -> Heard:
    """`workspace` is the folder that paths are shown relative to."""
    text = decode(line.data)
    if not text.strip():
        return Heard(talk)
    if line.stderr:
        return Heard(_noting(talk, text), (spoken.message(line, text),))
    match None if line.cut else jsonrpc.read(text):
        case Answer() as answer:
            return hear_answer(line, answer, talk)
        case Request() as request:
            return codex_asks.hear(line, request, talk, workspace)
        case Notice() as notice:
            return _hear_notice(line, notice, talk, workspace)
        case None:
            return Heard(_noting(talk, text), (spoken.raw(line, text),))


def _noting(talk: Talk, text: str) -> Talk:
    return talk if said_its_end(talk.ending) else replace(talk, ending=noted(talk.ending, text))


def _hear_notice(line: Line, notice: Notice, talk: Talk, workspace: str) -> Heard:
    method, params = notice.method, notice.params
    if method in _SILENT:
        return Heard(talk)
    if method in ("item/started", "item/completed"):
        return _hear_item(line, notice, talk, workspace)
    if method in _NOTICES:
        told = string(params.get("message")) or string(params.get("summary")) or json.dumps(dict(params), default=str)
        return Heard(talk, (spoken.notice(line, told),))
    if method == "error":
        return _hear_error(line, params, talk)
    if method == "item/commandExecution/terminalInteraction":
        stdin = string(params.get("stdin"))
        typed = spoken.tool_call(line, spoken.Tool("write_stdin", parent=string(params.get("itemId"))), {"stdin": stdin}, stdin)
        return Heard(talk, (typed,) if stdin else ())
    if method in _TURN:
        return _TURN[method](params, talk) if _ours(params, talk) else Heard(talk)
    return Heard(talk, (spoken.raw(line, decode(line.data), display=f"a notification: {one_line(method, 80)}"),))


def _hear_item(line: Line, notice: Notice, talk: Talk, workspace: str) -> Heard:
    item, ours = mapping(notice.params.get("item")), _ours(notice.params, talk)
    parent = None if ours else string(notice.params.get("threadId"))
    if item.get("type") == "userMessage":
        message = string(item.get("clientId"))
        return Heard(saw(talk, message) if message and ours else talk)
    if notice.method == "item/started":
        return Heard(codex_asks.begun(item, talk), codex_items.started(line, item, workspace, parent))
    known = codex_asks.over(item, talk)
    if ours and item.get("type") == "agentMessage":
        known = noting(known, _SAID, shorten(string(item.get("text"))))
    return Heard(known, codex_items.completed(line, item, parent))


def _hear_error(line: Line, params: Body, talk: Talk) -> Heard:
    error = mapping(params.get("error"))
    if params.get("willRetry") is True:
        return Heard(talk, (spoken.notice(line, codex_ending.retrying(error)),))
    return Heard(talk, (spoken.notice(line, codex_ending.failure(error).error, is_error=True),))


def _turn_started(params: Body, talk: Talk) -> Heard:
    turn = string(mapping(params.get("turn")).get("id"))
    return Heard(noting(noting(turn_began(talk), "turn", turn), _SAID, ""))


def _turn_completed(params: Body, talk: Talk) -> Heard:
    """An interrupt leaves the commands of the turn running; they are ended."""
    turn = mapping(params.get("turn"))
    ending = codex_ending.of_turn(turn, note(talk, _SAID))
    usage = talk.ending.usage if talk.ending else Usage()
    known = replace(turn_ended(talk), ending=replace(ending, usage=usage))
    id = string(turn.get("id"))
    rested = noting(noting(noting(known, "turn", ""), OVER, id), _SAID, "")
    if turn.get("status") != "interrupted":
        return Heard(rested)
    return Heard(rested, owed=(jsonrpc.request("clean", id, "thread/backgroundTerminals/clean", {"threadId": talk.session}),))


def _tokens(params: Body, talk: Talk) -> Heard:
    """Totals are those of the whole conversation: what stood there before the first turn of this program was counted already."""
    usage = mapping(params.get("tokenUsage"))
    read, written = _counted(usage, "total")
    if not note(talk, "turn") and not note(talk, OVER):
        return Heard(noting(talk, _BEFORE, f"{read} {written}"))
    if not note(talk, _BEFORE):
        last = _counted(usage, "last")
        talk = noting(talk, _BEFORE, f"{max(0, read - last[0])} {max(0, written - last[1])}")
    before = [int(number) for number in note(talk, _BEFORE).split()]
    known = Usage(model=note(talk, "model") or None, input_tokens=max(0, read - before[0]), output_tokens=max(0, written - before[1]))
    return Heard(replace(talk, ending=replace(talk.ending or Ending(ok=False), usage=known)))


def _counted(usage: Body, name: str) -> tuple[int, int]:
    row = mapping(usage.get(name))
    return count(row.get("inputTokens")), count(row.get("outputTokens"))


def _resolved(params: Body, talk: Talk) -> Heard:
    return Heard(codex_asks.hear_resolved(params, talk))


def _ours(params: Body, talk: Talk) -> bool:
    """Agents that Codex starts beside itself have threads of their own."""
    thread = params.get("threadId")
    return thread == talk.session or thread is None


_TURN: dict[str, Callable[[Body, Talk], Heard]] = {
    "turn/started": _turn_started,
    "turn/completed": _turn_completed,
    "thread/tokenUsage/updated": _tokens,
    "serverRequest/resolved": _resolved,
}
