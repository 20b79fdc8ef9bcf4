"""The agent `codex`: Codex as an app server on its stdin and stdout, its model behind the model door."""

from __future__ import annotations

from collections.abc import Callable

from trunkline_sandbox.adapters.agents import codex_asks, codex_lines, codex_talk
from trunkline_sandbox.adapters.agents.codex_binary import find_codex, package_of
from trunkline_sandbox.adapters.agents.codex_config import KEY, CodexOptions, configuration
from trunkline_sandbox.adapters.agents.judging import failed, how_it_ended, last_words, said_its_end, stopped
from trunkline_sandbox.adapters.agents.talking import CLOSE
from trunkline_sandbox.adapters.model.keys import DoorKey
from trunkline_sandbox.model import AgentTask, Ask, Ending, Entry, Heard, Skill, Talk, Verdict
from trunkline_sandbox.ports import Exit, Launch, Line

__all__ = ["CodexAgent", "CodexOptions"]

PLACE = "/opt/agent/codex"
SOCKETS = "model"
SOCKET = f"/run/host/{SOCKETS}/model.sock"


class CodexAgent:
    """`door` tells which door of the model, and which token for it, belongs to the key of a launch."""

    name = "codex"
    skill = Skill(steer=True, resume=True, fork=True, ask=True, interrupt=True)

    def __init__(self, door: Callable[[str], DoorKey], options: CodexOptions | None = None) -> None:
        self._door = door
        self._options = options or CodexOptions()

    def launch(self, task: AgentTask, key: str) -> Launch:
        door = self._door(key)
        program = find_codex(self._options.program, self._options.search_path)
        shown = package_of(program)
        return Launch(
            key=key,
            argv=(PLACE if shown == program else f"{PLACE}/{program.relative_to(shown)}", "app-server"),
            env={"HOME": task.home, "CODEX_HOME": f"{task.home}/.codex", KEY: door.token},
            stdin=codex_talk.hello(),
            keep_stdin=True,
            home_files={".codex/config.toml": configuration(self._options, task, door.url).encode()},
            tools={PLACE: shown},
            sockets={} if door.url else {SOCKETS: door.socket.parent},
            forwards={} if door.url else {self._options.port: SOCKET},
        )

    def opening(self, task: AgentTask, key: str) -> Talk:
        return codex_talk.opening(task)

    def hear(self, line: Line, talk: Talk) -> Heard:
        return codex_lines.hear(line, talk, self._options.workspace)

    def say(self, talk: Talk, message: str, text: str) -> tuple[Entry, ...]:
        return (codex_talk.saying(talk, message, text),) if talk.ready else ()

    def answer(self, talk: Talk, ask: Ask, verdict: Verdict) -> tuple[Entry, ...]:
        return (codex_asks.answer(ask, verdict),)

    def interrupt(self, talk: Talk, wish: str) -> tuple[Entry, ...]:
        """Nothing while the turn has no id yet: ask again."""
        return codex_talk.interruption(talk, wish)

    def farewell(self, talk: Talk) -> tuple[Entry, ...]:
        """It ends as soon as nothing can come any more, in the middle of a turn too."""
        return (CLOSE,)

    def session_files(self, talk: Talk) -> tuple[str, ...]:
        """All of them: a fork is written as what came after its origin."""
        return (".codex/sessions/**/*",) if talk.session else ()

    def outcome(self, talk: Talk, exit: Exit) -> Ending:
        """What its last turn came to holds, whatever the exit; in the middle of a turn it failed, even with exit code 0."""
        ending = talk.ending
        if ending is not None and said_its_end(ending) and exit.cause != "disk":
            return ending
        if halted := stopped(ending, exit):
            return halted
        if exit.dropped:
            told = "Codex wrote more than is kept, so its result was lost; raise the output limit or ask for less"
            return failed(ending, "AGENT_OUTPUT_LIMIT", told)
        sentence = f"Codex {how_it_ended(exit)} in the middle of its turn{last_words(ending)}"
        return failed(ending, "AGENT_FAILED", sentence, recoverable=exit.signal is not None)
