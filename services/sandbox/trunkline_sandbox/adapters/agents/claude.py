"""The agent `claude`: Claude Code without a terminal, its task on stdin, its model behind the model door."""

from __future__ import annotations

from collections.abc import Callable
from uuid import NAMESPACE_URL, uuid5

from trunkline_sandbox.adapters.agents import claude_control as control
from trunkline_sandbox.adapters.agents import claude_hook, claude_lines
from trunkline_sandbox.adapters.agents.claude_binary import find_claude
from trunkline_sandbox.adapters.agents.claude_options import ClaudeOptions, arguments
from trunkline_sandbox.adapters.agents.judging import failed, how_it_ended, last_words, said_its_end, stopped
from trunkline_sandbox.adapters.agents.talking import CLOSE
from trunkline_sandbox.adapters.model.keys import DoorKey
from trunkline_sandbox.model import AgentTask, Ask, Ending, Entry, Heard, Skill, Talk, Verdict
from trunkline_sandbox.ports import Exit, Launch, Line

__all__ = ["ClaudeAgent", "ClaudeOptions", "session_of"]

PROGRAM = "/opt/agent/claude"
HOME = "/home/agent"
SOCKETS = "model"
SOCKET = f"/run/host/{SOCKETS}/model.sock"
MODEL_HOST = "http://model.internal"


class ClaudeAgent:
    """`door` tells which door of the model, and which token for it, belongs to the key of a launch."""

    name = "claude"
    skill = Skill(steer=True, resume=True, fork=True, ask=True, rewrite=True, reason=True, interrupt=True)

    def __init__(self, door: Callable[[str], DoorKey], options: ClaudeOptions | None = None) -> None:
        self._door = door
        self._options = options or ClaudeOptions()

    def launch(self, task: AgentTask, key: str) -> Launch:
        door = self._door(key)
        return Launch(
            key=key,
            argv=(PROGRAM, *arguments(self._options, task, session_of(key))),
            env={"HOME": task.home, **self._env(door)},
            stdin=claude_hook.initialize_line(task) + (control.user_line(task.prompt, f"task-{session_of(key)}") if _begins(task) else b""),
            keep_stdin=True,
            tools={PROGRAM: find_claude(self._options.program, self._options.search_path)},
            sockets={} if door.url else {SOCKETS: door.socket.parent},
        )

    def probe(self, key: str) -> Launch:
        """Its version."""
        program = find_claude(self._options.program, self._options.search_path)
        return Launch(key=key, argv=(PROGRAM, "--version"), env={"HOME": HOME}, tools={PROGRAM: program})

    def opening(self, task: AgentTask, key: str) -> Talk:
        """At work from its first moment, for its task is on its stdin, unless it only waits for what comes."""
        goes_on = task.session and not task.fork
        talk = Talk(session=task.session if goes_on else session_of(key), ready=True, busy=_begins(task))
        return claude_hook.watching(talk, task)

    def hear(self, line: Line, talk: Talk) -> Heard:
        return claude_lines.hear(line, talk, self._options.workspace)

    def say(self, talk: Talk, message: str, text: str) -> tuple[Entry, ...]:
        return (control.saying(message, text),)

    def answer(self, talk: Talk, ask: Ask, verdict: Verdict) -> tuple[Entry, ...]:
        return (control.permission(ask, verdict),)

    def interrupt(self, talk: Talk, wish: str) -> tuple[Entry, ...]:
        return (control.interruption(wish),)

    def farewell(self, talk: Talk) -> tuple[Entry, ...]:
        """Without the interrupt it would go on to the end of its turn, refusing itself every call that it has to ask about."""
        return (control.interruption("farewell"), CLOSE) if talk.busy else (CLOSE,)

    def session_files(self, talk: Talk) -> tuple[str, ...]:
        return (f".claude/projects/*/{talk.session}.jsonl", f".claude/projects/*/{talk.session}/**/*") if talk.session else ()

    def outcome(self, talk: Talk, exit: Exit) -> Ending:
        """What the last result line said holds, whatever the exit; without one the run failed, even with exit code 0."""
        ending = claude_hook.unfit(talk) or talk.ending
        if ending is not None and said_its_end(ending) and exit.cause != "disk":
            return ending
        if halted := stopped(ending, exit):
            return halted
        if exit.dropped:
            told = "Claude Code wrote more than is kept, so its result was lost; raise the output limit or ask for less"
            return failed(ending, "AGENT_OUTPUT_LIMIT", told)
        sentence = f"Claude Code {how_it_ended(exit)} without a result{last_words(ending)}"
        return failed(ending, "AGENT_FAILED", sentence, recoverable=exit.signal is not None)

    def _env(self, door: DoorKey) -> dict[str, str]:
        way = {"ANTHROPIC_BASE_URL": door.url} if door.url else {"ANTHROPIC_BASE_URL": MODEL_HOST, "ANTHROPIC_UNIX_SOCKET": SOCKET}
        return {
            **way,
            "ANTHROPIC_API_KEY": door.token,
            "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",
            "CLAUDE_CODE_MAX_RETRIES": str(self._options.max_retries),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }


def session_of(key: str) -> str:
    """The conversation that a launch begins: known before it starts, whoever starts it."""
    return str(uuid5(NAMESPACE_URL, f"trunkline:launch:{key}"))


def _begins(task: AgentTask) -> bool:
    return bool(task.prompt) or not task.session
