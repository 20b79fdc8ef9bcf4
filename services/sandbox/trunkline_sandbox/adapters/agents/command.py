"""The agent `command`: any program that takes a task on stdin and edits the workspace."""

from __future__ import annotations

import shlex
from dataclasses import replace

from trunkline.contracts.errors import Invalid
from trunkline.contracts.run import AgentOutput
from trunkline_sandbox.adapters.agents import command_duplex as talked
from trunkline_sandbox.adapters.agents import spoken
from trunkline_sandbox.adapters.agents.command_lines import (
    CommandLine,
    MessageLine,
    ResultLine,
    ThinkingLine,
    ToolCallLine,
    ToolResultLine,
    UsageLine,
    read_command_line,
    read_talk_line,
)
from trunkline_sandbox.adapters.agents.judging import failed, how_it_ended, last_words, noted, shorten, stopped
from trunkline_sandbox.adapters.agents.talking import CLOSE
from trunkline_sandbox.adapters.agents.wording import argument, decode, one_line
from trunkline_sandbox.model import AgentTask, Ask, Ending, Entry, Heard, Skill, Talk, Verdict
from trunkline_sandbox.ports import Exit, Launch, Line

TASK_FILE = "/run/trunkline/task.txt"


class CommandAgent:
    """`command` is shell words; they are split, never given to a shell. A `duplex` one is spoken to by JSON lines while it runs."""

    name = "command"

    def __init__(self, command: str, *, duplex: bool = False, workspace: str = "/workspace") -> None:
        self.skill = talked.SKILL if duplex else Skill()
        self._command = command
        self._duplex = duplex
        self._workspace = workspace

    def launch(self, task: AgentTask, key: str) -> Launch:
        prompt = task.prompt.encode("utf-8", "replace")
        return Launch(
            key=key,
            argv=self._words(),
            env={"HOME": task.home, "TRUNKLINE_TASK_FILE": TASK_FILE, **({"TRUNKLINE_MODEL": task.model} if task.model else {})},
            stdin=talked.task_line(task) if self._duplex else prompt,
            keep_stdin=self._duplex,
            files={TASK_FILE: prompt},
        )

    def probe(self, key: str) -> Launch:
        """Where it is, by the first of its words; that alone is looked for, and the word is no part of what the shell reads."""
        return Launch(key=key, argv=("/bin/sh", "-c", 'command -v -- "$0"', self._words()[0]), env={})

    def opening(self, task: AgentTask, key: str) -> Talk:
        """At work from its first moment, for its task is on its stdin, unless it only waits for what comes."""
        return Talk(session="" if task.fork else task.session, ready=self._duplex, busy=bool(task.prompt) or not task.session)

    def hear(self, line: Line, talk: Talk) -> Heard:
        text = decode(line.data)
        if not text.strip():
            return Heard(talk)
        readable = not line.stderr and not line.cut
        if readable and self._duplex and (told := read_talk_line(text)):
            return talked.hear_talk(told, talk, self._workspace)
        if readable and (said := read_command_line(text)):
            return self._hear_form(line, said, talk)
        return Heard(_noting(talk, text, summary=not line.stderr), (spoken.message(line, text),))

    def say(self, talk: Talk, message: str, text: str) -> tuple[Entry, ...]:
        return (talked.message(message, text),) if self._duplex else ()

    def answer(self, talk: Talk, ask: Ask, verdict: Verdict) -> tuple[Entry, ...]:
        return (talked.permission(ask, verdict),) if self._duplex else ()

    def interrupt(self, talk: Talk, wish: str) -> tuple[Entry, ...]:
        return (talked.interruption(wish),) if self._duplex else ()

    def farewell(self, talk: Talk) -> tuple[Entry, ...]:
        return (CLOSE,) if self._duplex else ()

    def outcome(self, talk: Talk, exit: Exit) -> Ending:
        ending = talk.ending
        if exit.cause == "killed" and talk.turns and not talk.busy and ending and ending.ok:
            return ending  # it did what it was told and only did not go when it was sent home
        if halted := stopped(ending, exit):
            return halted
        if ending is not None and ending.code:
            return ending
        if exit.code == 0:
            return replace(ending or Ending(ok=True), ok=True, error="")
        sentence = f"the agent command {how_it_ended(exit)}{last_words(ending)}"
        return failed(ending, "AGENT_FAILED", sentence, recoverable=exit.signal is not None)

    def session_files(self, talk: Talk) -> tuple[str, ...]:
        return (talked.SESSION_FILES,) if self._duplex and talk.session else ()

    def _words(self) -> tuple[str, ...]:
        try:
            words = tuple(shlex.split(self._command))
        except ValueError as error:
            raise Invalid(
                f"the agent command cannot be split into words ({error}); correct TRUNKLINE_AGENT_COMMAND", code="AGENT_NOT_CONFIGURED"
            ) from error
        if not words or not words[0] or "\0" in self._command:
            raise Invalid("no agent command is configured; set TRUNKLINE_AGENT_COMMAND", code="AGENT_NOT_CONFIGURED")
        return words

    def _hear_form(self, line: Line, said: CommandLine, talk: Talk) -> Heard:
        if not self._duplex:
            return Heard(_told(said, talk), self._outputs(line, said))
        return Heard(talked.after(said, _told(said, talked.before(said, talk))), self._outputs(line, said))

    def _outputs(self, line: Line, said: CommandLine) -> tuple[AgentOutput, ...]:
        match said:
            case ToolCallLine():
                display = said.display if said.display is not None else argument(said.input, self._workspace)
                return (spoken.tool_call(line, spoken.Tool(said.tool, said.id), said.input, display),)
            case ToolResultLine():
                return (spoken.tool_result(line, spoken.Tool(said.tool, said.id), said.output, is_error=said.is_error),)
            case ThinkingLine():
                return (spoken.thinking(line, said.text),)
            case MessageLine():
                return (spoken.message(line, said.text),)
            case UsageLine() | ResultLine():
                return ()


def _told(said: CommandLine, talk: Talk) -> Talk:
    """What the line tells of the end."""
    known = talk.ending or Ending(ok=False)
    match said:
        case MessageLine():
            return _noting(talk, said.text, summary=True)
        case UsageLine():
            return replace(talk, ending=replace(known, usage=said.usage()))
        case ResultLine():
            return replace(talk, ending=_result(said, known))
        case _:
            return talk


def _noting(talk: Talk, text: str, *, summary: bool) -> Talk:
    return replace(talk, ending=noted(talk.ending, text, summary=summary))


def _result(said: ResultLine, known: Ending) -> Ending:
    summary = shorten(said.summary) or known.summary
    if said.ok:
        return replace(known, ok=True, code="", summary=summary, recoverable=False)
    error = one_line(said.error, 1000) or one_line(said.summary, 1000) or "the agent said that it failed, without saying why"
    return replace(known, ok=False, code="AGENT_FAILED", error=error, summary=summary, recoverable=said.recoverable)
