"""Any agent that speaks the Agent Client Protocol on its stdin and stdout; what is its own comes from who starts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trunkline_sandbox.adapters.agents import acp_calls, acp_lines, acp_talk
from trunkline_sandbox.adapters.agents.acp_talk import Voice
from trunkline_sandbox.adapters.agents.judging import failed, how_it_ended, last_words, said_its_end, stopped
from trunkline_sandbox.adapters.agents.talking import CLOSE
from trunkline_sandbox.model import AgentTask, Ask, Ending, Entry, Heard, Skill, Talk, Verdict
from trunkline_sandbox.ports import Exit, Launch, Line

HELLO = acp_talk.hello()
"""What its stdin begins with."""
SKILL = Skill(steer=True, resume=True, fork=True, ask=True, interrupt=True)
"""Of a program that can go on with conversations and take them elsewhere. The protocol has no words for another input or a reason."""


@dataclass(frozen=True, slots=True)
class Start:
    """What an agent of the protocol has of its own. `launch` keeps stdin open behind HELLO."""

    name: str
    launch: Callable[[AgentTask, str], Launch]
    voice: Voice
    session_files: tuple[str, ...]
    skill: Skill = SKILL


class AcpAgent:
    def __init__(self, start: Start) -> None:
        self.name = start.name
        self.skill = start.skill
        self._start = start

    def launch(self, task: AgentTask, key: str) -> Launch:
        return self._start.launch(task, key)

    def opening(self, task: AgentTask, key: str) -> Talk:
        return acp_talk.opening(task)

    def hear(self, line: Line, talk: Talk) -> Heard:
        return acp_lines.hear(line, talk, self._start.voice)

    def say(self, talk: Talk, message: str, text: str) -> tuple[Entry, ...]:
        return acp_talk.saying(talk, message, text) if talk.ready else ()

    def answer(self, talk: Talk, ask: Ask, verdict: Verdict) -> tuple[Entry, ...]:
        return (acp_calls.answer(talk, ask, verdict),)

    def interrupt(self, talk: Talk, wish: str) -> tuple[Entry, ...]:
        return acp_talk.interruption(talk, wish) if talk.ready else ()

    def farewell(self, talk: Talk) -> tuple[Entry, ...]:
        """A turn that is under way is ended first, so that it is written down as ended."""
        return (*(acp_talk.interruption(talk, "farewell") if talk.busy and talk.ready else ()), CLOSE)

    def session_files(self, talk: Talk) -> tuple[str, ...]:
        return self._start.session_files if talk.session else ()

    def outcome(self, talk: Talk, exit: Exit) -> Ending:
        """What its last turn came to holds, whatever the exit; in the middle of a turn it failed, even with exit code 0."""
        ending, called = talk.ending, self._start.voice.called
        if ending is not None and said_its_end(ending) and exit.cause != "disk":
            return ending
        if halted := stopped(ending, exit):
            return halted
        if exit.dropped:
            told = f"{called} wrote more than is kept, so its result was lost; raise the output limit or ask for less"
            return failed(ending, "AGENT_OUTPUT_LIMIT", told)
        sentence = f"{called} {how_it_ended(exit)} in the middle of its turn{last_words(ending)}"
        return failed(ending, "AGENT_FAILED", sentence, recoverable=exit.signal is not None)
