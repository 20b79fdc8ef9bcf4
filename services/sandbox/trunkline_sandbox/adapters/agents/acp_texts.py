"""Texts that a program says in small pieces, put together again until something else happens."""

from __future__ import annotations

from dataclasses import replace

from trunkline.contracts.run import AgentOutput
from trunkline_sandbox.adapters.agents import spoken
from trunkline_sandbox.adapters.agents.judging import shorten
from trunkline_sandbox.adapters.agents.talking import note, noting
from trunkline_sandbox.model import Talk
from trunkline_sandbox.ports import Line

MOST = 8 << 10
"""Characters that are kept back; a longer text is told in parts."""
_TEXT, _THOUGHT, _WHOSE, _SAID = "text:said", "text:thought", "text:whose", "summary"

Told = tuple[Talk, tuple[AgentOutput, ...]]


def piece(line: Line, talk: Talk, text: str, *, whose: str, thought: bool = False) -> Told:
    """`whose` names the message that the piece belongs to."""
    name = _THOUGHT if thought else _TEXT
    said: tuple[AgentOutput, ...] = ()
    if not note(talk, name) or note(talk, _WHOSE) != whose:
        talk, said = flushed(line, talk)
        talk = noting(talk, _SAID, "") if not thought else talk
    known = noting(noting(talk, name, note(talk, name) + text), _WHOSE, whose)
    if len(note(known, name)) < MOST:
        return known, said
    told, more = flushed(line, known)
    return noting(told, _WHOSE, whose), (*said, *more)


def flushed(line: Line, talk: Talk) -> Told:
    """What was kept back, said on this line."""
    text, thought = note(talk, _TEXT), note(talk, _THOUGHT)
    said = (*((spoken.thinking(line, thought),) if thought else ()), *((spoken.message(line, text),) if text else ()))
    if not said:
        return talk, ()
    known = noting(talk, _SAID, shorten(text)) if text else talk
    kept = tuple(pair for pair in known.notes if pair[0] not in (_TEXT, _THOUGHT, _WHOSE))
    return replace(known, notes=kept), said


def last_text(talk: Talk) -> str:
    """The last message of the turn, shortened."""
    return note(talk, _SAID)
