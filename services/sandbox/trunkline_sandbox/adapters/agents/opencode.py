"""The agent `opencode`: spoken to by the Agent Client Protocol, its model behind the model door."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trunkline_sandbox.adapters.agents.acp import HELLO, AcpAgent, Start
from trunkline_sandbox.adapters.agents.acp_talk import Voice
from trunkline_sandbox.adapters.agents.binaries import Wanted, find_program, in_modules
from trunkline_sandbox.adapters.model.keys import DoorKey
from trunkline_sandbox.model import AgentTask
from trunkline_sandbox.ports import Launch

PROGRAM = "/opt/agent/opencode"
SOCKETS = "model"
SOCKET = f"/run/host/{SOCKETS}/model.sock"
KEY = "TRUNKLINE_MODEL_KEY"
PORT = 8091

_OPENCODE = Wanted(
    "opencode", "opencode", "install it with `make agents` (npm package opencode-linux-x64), or set the path of the opencode program"
)
_PACKAGES = {"openai": "@ai-sdk/openai-compatible", "anthropic": "@ai-sdk/anthropic"}
_MODELS = {"openai": "gpt-5.5", "anthropic": "claude-sonnet-5"}
_ASKING = ("bash", "edit", "webfetch", "websearch", "codesearch", "external_directory", "doom_loop")
"""What is asked about where somebody rules; the rest only looks."""
_OFF = "AUTOUPDATE MODELS_FETCH LSP_DOWNLOAD SHARE DEFAULT_PLUGINS".split()
_OF_THE_REPOSITORY = "PROJECT_CONFIG EXTERNAL_SKILLS CLAUDE_CODE".split()


@dataclass(frozen=True, slots=True)
class OpencodeOptions:
    """How opencode is started."""

    program: Path | None = None
    """None looks on the path, then where `make agents` puts it."""
    search_path: str | None = None
    speaks: Literal["openai", "anthropic"] = "openai"
    """The model API that it is pointed at."""
    model: str = ""
    """Empty: one that is good at this work."""
    trust_repository: bool = False
    """Obey the settings and skills that the repository brings along."""
    workspace: str = "/workspace"
    port: int = PORT
    """Of the loopback inside, where the model door is."""


def opencode_agent(door: Callable[[str], DoorKey], options: OpencodeOptions | None = None) -> AcpAgent:
    """`door` tells which door of the model, and which token for it, belongs to the key of a launch."""
    chosen = options or OpencodeOptions()

    def launch(task: AgentTask, key: str) -> Launch:
        mine = door(key)
        return Launch(
            key=key,
            argv=(PROGRAM, "acp", "--pure"),
            env={"HOME": task.home, KEY: mine.token, **_environment(chosen, task, mine.url)},
            stdin=HELLO,
            keep_stdin=True,
            tools={PROGRAM: find_opencode(chosen.program, chosen.search_path)},
            sockets={} if mine.url else {SOCKETS: mine.socket.parent},
            forwards={} if mine.url else {chosen.port: SOCKET},
        )

    voice = Voice("opencode", chosen.speaks.upper(), chosen.workspace)
    return AcpAgent(Start("opencode", launch, voice, (".local/share/opencode/**/*",)))


def find_opencode(configured: Path | None = None, search_path: str | None = None) -> Path:
    """Raises Invalid AGENT_NOT_FOUND with the remedy."""
    return find_program(_OPENCODE, configured, search_path, in_modules("opencode-linux-x64/bin/opencode"))


def _environment(options: OpencodeOptions, task: AgentTask, door: str) -> dict[str, str]:
    off = (*_OFF, *(() if options.trust_repository else _OF_THE_REPOSITORY))
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(_configuration(options, task, door)), **{f"OPENCODE_DISABLE_{name}": "1" for name in off}}


def _configuration(options: OpencodeOptions, task: AgentTask, door: str) -> dict[str, object]:
    model = options.model or _MODELS[options.speaks]
    place = {"baseURL": f"{door or f'http://127.0.0.1:{options.port}'}/v1", "apiKey": f"{{env:{KEY}}}", "timeout": False}
    known = {"name": model, "tool_call": True, "limit": {"context": 200_000, "output": 16_000}}
    provider = {"npm": _PACKAGES[options.speaks], "name": "Trunkline", "options": place, "models": {model: known}}
    return {
        "autoupdate": False,
        "share": "disabled",
        "snapshot": False,
        "lsp": False,
        "formatter": False,
        "model": f"trunkline/{model}",
        "small_model": f"trunkline/{model}",
        "enabled_providers": ["trunkline"],
        "provider": {"trunkline": provider},
        "permission": _permission(task),
        # Else a refused call ends the turn.
        "experimental": {"continue_loop_on_deny": True},
    }


def _permission(task: AgentTask) -> dict[str, str]:
    """The last that fits holds. `question` would wait for a person at its terminal; what a sub-agent asks reaches nobody."""
    asking = (*_ASKING, *task.asked_always) if task.supervised else ()
    denied = ("question", "task") if task.supervised else ("question",)
    return {"*": "allow", **dict.fromkeys(asking, "ask"), **dict.fromkeys(denied, "deny")}
