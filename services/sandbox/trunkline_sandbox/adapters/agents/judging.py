"""How the end of an agent is judged, as far as it is the same for every agent."""

from __future__ import annotations

from dataclasses import replace

from trunkline_sandbox.adapters.agents.wording import clip, one_line
from trunkline_sandbox.model import Ending
from trunkline_sandbox.ports import Exit

_SUMMARY_LIMIT = 4 << 10
_UNSAID = Ending(ok=False)
"""Not ok and without a code: the agent said nothing of its end; `error` holds the last thing that it wrote."""

_CAUSES: dict[str, tuple[str, str, bool]] = {
    "wall": ("AGENT_TIMEOUT", "the agent did not end within its time and was stopped; give it more time or a smaller task", False),
    "disk": ("AGENT_DISK_LIMIT", "the agent wrote more than its disk limit and was stopped; raise the limit or ask for less", False),
    "memory": ("AGENT_MEMORY_LIMIT", "the agent used more than its memory limit and was stopped; raise the limit", False),
    "lost": ("AGENT_LOST", "the agent vanished without a word, as when its machine restarts; trying again may help", True),
    "killed": ("AGENT_KILLED", "the agent was stopped from outside before it ended; trying again may help", True),
}


def said_its_end(ending: Ending | None) -> bool:
    return ending is not None and (ending.ok or bool(ending.code))


def noted(known: Ending | None, text: str, *, summary: bool = False) -> Ending:
    """`known` with the last thing written kept for the sentence of a failure; what the agent said of its end stays."""
    before = known or _UNSAID
    told = one_line(text)
    if not told or (before.code and not before.ok):
        return before
    return replace(before, error=told, summary=shorten(text) if summary and not before.ok else before.summary)


def shorten(text: str) -> str:
    return clip(text.strip(), _SUMMARY_LIMIT)


def stopped(ending: Ending | None, exit: Exit) -> Ending | None:
    """The judgement of an agent that did not end by itself; None when it did."""
    if exit.cause is None:
        return None
    code, sentence, recoverable = _CAUSES.get(exit.cause, ("AGENT_FAILED", f"the agent was ended: {one_line(exit.cause)}", False))
    return failed(ending, code, sentence, recoverable=recoverable)


def failed(ending: Ending | None, code: str, sentence: str, *, recoverable: bool = False) -> Ending:
    known = ending or _UNSAID
    return replace(known, ok=False, code=code, error=sentence, recoverable=recoverable)


def how_it_ended(exit: Exit) -> str:
    """`ended with exit code 3`, `was ended by signal 9`."""
    return f"was ended by signal {exit.signal}" if exit.signal else f"ended with exit code {exit.code}"


def last_words(ending: Ending | None) -> str:
    """`; the last it wrote was: …`, or nothing."""
    return f"; the last it wrote was: {ending.error}" if ending and ending.error else ""
