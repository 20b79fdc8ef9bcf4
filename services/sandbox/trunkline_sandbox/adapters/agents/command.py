"""The agent `command`: any program that takes a task on stdin and edits the workspace."""

from __future__ import annotations

import shlex
from dataclasses import replace

from trunkline.contracts.errors import Invalid
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
)
from trunkline_sandbox.adapters.agents.judging import failed, how_it_ended, last_words, noted, shorten, stopped
from trunkline_sandbox.adapters.agents.wording import argument, decode, one_line
from trunkline_sandbox.ports import AgentTask, Ending, Exit, Heard, Launch, Line

TASK_FILE = "/run/trunkline/task.txt"


class CommandAgent:
    """`command` is shell words; they are split, never given to a shell."""

    name = "command"

    def __init__(self, command: str, *, workspace: str = "/workspace") -> None:
        self._command = command
        self._workspace = workspace

    def launch(self, task: AgentTask, key: str) -> Launch:
        prompt = task.prompt.encode("utf-8", "replace")
        return Launch(
            key=key,
            argv=self._words(),
            env={"HOME": task.home, "TRUNKLINE_TASK_FILE": TASK_FILE},
            stdin=prompt,
            files={TASK_FILE: prompt},
        )

    def hear(self, line: Line, known: Ending | None = None) -> Heard:
        text = decode(line.data)
        if not text.strip():
            return Heard()
        said = None if line.stderr or line.cut else read_command_line(text)
        if said is None:
            return Heard((spoken.message(line, text),), noted(known, text, summary=not line.stderr))
        return self._hear_form(line, said, known)

    def outcome(self, ending: Ending | None, exit: Exit) -> Ending:
        if halted := stopped(ending, exit):
            return halted
        if ending is not None and ending.code:
            return ending
        if exit.code == 0:
            return replace(ending or Ending(ok=True), ok=True, error="")
        sentence = f"the agent command {how_it_ended(exit)}{last_words(ending)}"
        return failed(ending, "AGENT_FAILED", sentence, recoverable=exit.signal is not None)

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

    def _hear_form(self, line: Line, said: CommandLine, known: Ending | None) -> Heard:
        match said:
            case ToolCallLine():
                display = said.display if said.display is not None else argument(said.input, self._workspace)
                return Heard((spoken.tool_call(line, spoken.Tool(said.tool, said.id), said.input, display),))
            case ToolResultLine():
                return Heard((spoken.tool_result(line, spoken.Tool(said.tool, said.id), said.output, is_error=said.is_error),))
            case ThinkingLine():
                return Heard((spoken.thinking(line, said.text),))
            case MessageLine():
                return Heard((spoken.message(line, said.text),), noted(known, said.text, summary=True))
            case UsageLine():
                return Heard(ending=replace(known or Ending(ok=False), usage=said.usage()))
            case ResultLine():
                return Heard(ending=_result(said, known or Ending(ok=False)))


def _result(said: ResultLine, known: Ending) -> Ending:
    summary = shorten(said.summary) or known.summary
    if said.ok:
        return replace(known, ok=True, code="", summary=summary, recoverable=False)
    error = one_line(said.error, 1000) or one_line(said.summary, 1000) or "the agent said that it failed, without saying why"
    return replace(known, ok=False, code="AGENT_FAILED", error=error, summary=summary, recoverable=said.recoverable)
