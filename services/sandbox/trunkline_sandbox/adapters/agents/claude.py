"""The agent `claude`: Claude Code without a terminal, its task on stdin, its model behind the model door."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trunkline_sandbox.adapters.agents import claude_lines
from trunkline_sandbox.adapters.agents.claude_binary import find_claude
from trunkline_sandbox.adapters.agents.judging import failed, how_it_ended, last_words, said_its_end, stopped
from trunkline_sandbox.adapters.door_keys import DoorKey
from trunkline_sandbox.ports import AgentTask, Ending, Exit, Heard, Launch, Line

PROGRAM = "/opt/agent/claude"
SOCKETS = "model"
SOCKET = f"/run/host/{SOCKETS}/model.sock"
MODEL_HOST = "http://model.internal"

_ENDS_WITH = b'"duration_api_ms":'
"""Only the result line has this key; the order of its keys is not stable, and text inside JSON strings cannot hold it unescaped."""


@dataclass(frozen=True, slots=True)
class ClaudeOptions:
    """How Claude Code is started."""

    program: Path | None = None
    """None looks on the path, then in the package claude-agent-sdk."""
    search_path: str | None = None
    model: str | None = None
    """None is Claude Code's own choice."""
    max_turns: int | None = None
    max_retries: int = 6
    """Tries at a model API that does not answer, waiting longer each time: about a minute in all."""
    trust_repository: bool = False
    """Obey the settings, hooks, tool servers and memory files that the repository brings along."""
    workspace: str = "/workspace"


class ClaudeAgent:
    """`door` tells which door of the model, and which token for it, belongs to the key of a launch."""

    name = "claude"

    def __init__(self, door: Callable[[str], DoorKey], options: ClaudeOptions | None = None) -> None:
        self._door = door
        self._options = options or ClaudeOptions()

    def launch(self, task: AgentTask, key: str) -> Launch:
        door = self._door(key)
        return Launch(
            key=key,
            argv=self._argv(),
            env={"HOME": task.home, **self._env(door.token)},
            stdin=_user_message(task.prompt),
            tools={PROGRAM: find_claude(self._options.program, self._options.search_path)},
            sockets={SOCKETS: door.socket.parent},
            ends_with=_ENDS_WITH,
        )

    def hear(self, line: Line, known: Ending | None = None) -> Heard:
        return claude_lines.hear(line, known, self._options.workspace)

    def outcome(self, ending: Ending | None, exit: Exit) -> Ending:
        """What the result line said holds, whatever the exit; without one the run failed, even with exit code 0."""
        if ending is not None and said_its_end(ending) and exit.cause != "disk":
            return ending
        if halted := stopped(ending, exit):
            return halted
        if exit.dropped:
            told = "Claude Code wrote more than is kept, so its result was lost; raise the output limit or ask for less"
            return failed(ending, "AGENT_OUTPUT_LIMIT", told)
        sentence = f"Claude Code {how_it_ended(exit)} without a result{last_words(ending)}"
        return failed(ending, "AGENT_FAILED", sentence, recoverable=exit.signal is not None)

    def _argv(self) -> tuple[str, ...]:
        options = self._options
        trusted, ignored = ("--setting-sources", "user,project"), ("--setting-sources", "user", "--strict-mcp-config")
        sources = trusted if options.trust_repository else ignored
        model = ("--model", options.model) if options.model else ()
        turns = ("--max-turns", str(options.max_turns)) if options.max_turns else ()
        stream = ("-p", "--output-format", "stream-json", "--input-format", "stream-json", "--verbose")
        return (PROGRAM, *stream, "--permission-mode", "bypassPermissions", *sources, *model, *turns)

    def _env(self, token: str) -> dict[str, str]:
        return {
            "ANTHROPIC_BASE_URL": MODEL_HOST,
            "ANTHROPIC_UNIX_SOCKET": SOCKET,
            "ANTHROPIC_API_KEY": token,
            "CLAUDE_CODE_MAX_RETRIES": str(self._options.max_retries),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }


def _user_message(prompt: str) -> bytes:
    """The task as the one message on stdin, which is closed after it: Claude Code then ends after its result."""
    message = {"type": "user", "message": {"role": "user", "content": prompt}, "parent_tool_use_id": None}
    return json.dumps(message).encode() + b"\n"
