"""A program of anybody's that is spoken to: what its lines do to the conversation, and the lines that it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trunkline_sandbox.adapters.agents.command_lines import (
    CommandLine,
    HeardLine,
    PermissionDroppedLine,
    PermissionRequestLine,
    ResultLine,
    SessionLine,
    TalkLine,
    ToolCallLine,
    ToolResultLine,
    TurnOverLine,
    UsageLine,
)
from trunkline_sandbox.adapters.agents.judging import shorten
from trunkline_sandbox.adapters.agents.talking import MOST_ASKS, asked, entry, json_line, note, noting, saw, settled, turn_began, turn_ended
from trunkline_sandbox.adapters.agents.wording import one_line, telling
from trunkline_sandbox.model import AgentTask, Ask, Ending, Entry, Heard, Skill, Talk, Verdict

SKILL = Skill(steer=True, resume=True, fork=True, ask=True, rewrite=True, reason=True, interrupt=True)
SESSION_FILES = ".conversation/**/*"

_BY_RESULT = "ended_by_result"
"""The turn was ended by a `result`: a `turn_over` right behind it ends the same turn."""
_TOO_MANY = f"more than {MOST_ASKS} calls wait for a word already; ask again when one of them is answered"
_NO_OBJECT = "the input of a call is a JSON object; ask again with one"


def task_line(task: AgentTask) -> bytes:
    """The first line on its stdin."""
    resumed = {"resume": task.session, "fork": task.fork} if task.session else {}
    always = {"asked_always": list(task.asked_always)} if task.asked_always else {}
    return json_line({"type": "task", "text": task.prompt, "supervised": task.supervised, **always, **resumed})


def hear_talk(said: TalkLine, talk: Talk, workspace: str) -> Heard:
    """What a line means that only a program writes which is spoken to."""
    match said:
        case SessionLine():
            return Heard(replace(talk, session=said.id))
        case HeardLine():
            return Heard(saw(at_work(talk), said.id))
        case TurnOverLine():
            return Heard(_over(talk, said))
        case PermissionRequestLine():
            return _hear_request(said, at_work(talk), workspace)
        case PermissionDroppedLine():
            return Heard(settled(talk, said.id))


def after(said: CommandLine, talk: Talk) -> Talk:
    """The conversation after a line that every command may write."""
    match said:
        case ResultLine():
            return noting(turn_ended(talk), _BY_RESULT, "yes") if talk.busy else talk
        case ToolCallLine() | ToolResultLine():
            return settled(talk, said.id)
        case _:
            return talk


def before(said: CommandLine, talk: Talk) -> Talk:
    """A program that uses tools, thinks or talks is at work, whether or not it said that it heard something."""
    return talk if isinstance(said, ResultLine | UsageLine) else at_work(talk)


def at_work(talk: Talk) -> Talk:
    return noting(turn_began(talk), _BY_RESULT, "")


def message(id: str, text: str) -> Entry:
    return entry("msg", id, {"type": "message", "id": id, "text": text})


def permission(ask: Ask, verdict: Verdict) -> Entry:
    told: dict[str, object] = {"type": "permission", "id": ask.id, "verdict": "allow" if verdict.allowed else "deny"}
    if verdict.allowed:
        told["input"] = dict(ask.input if verdict.input is None else verdict.input)
    return entry("answer", ask.id, {**told, "reason": verdict.reason})


def interruption(wish: str) -> Entry:
    return entry("interrupt", wish, {"type": "interrupt", "id": wish})


def _over(talk: Talk, said: TurnOverLine) -> Talk:
    if not talk.busy and note(talk, _BY_RESULT):
        return noting(talk, _BY_RESULT, "")
    known = talk.ending or Ending(ok=False)
    summary = shorten(said.summary) or known.summary
    done = known if known.code else replace(known, ok=True, error="", summary=summary)
    return replace(turn_ended(talk), ending=done)


def _hear_request(said: PermissionRequestLine, talk: Talk, workspace: str) -> Heard:
    input = said.input if isinstance(said.input, Mapping) else {}
    ask = Ask(said.id, one_line(said.tool), input, telling(input, workspace), one_line(said.description, 1000))
    if not isinstance(said.input, Mapping):
        return Heard(talk, owed=(permission(ask, Verdict(False, _NO_OBJECT)),))
    if len(talk.asks) >= MOST_ASKS:
        return Heard(talk, owed=(permission(ask, Verdict(False, _TOO_MANY)),))
    return Heard(asked(talk, ask))
