"""How Codex is started: what is configured, and what the task wants of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trunkline_sandbox.adapters.agents.jsonrpc import Body
from trunkline_sandbox.model import AgentTask

KEY = "TRUNKLINE_MODEL_KEY"
"""The variable with the door's token."""
PORT = 8091
SEARCH = "web_search"
"""What its search is called by the provider of the model, who carries it out."""


@dataclass(frozen=True, slots=True)
class CodexOptions:
    """How Codex is started."""

    program: Path | None = None
    """None looks on the path, then in the package openai-codex-cli-bin."""
    search_path: str | None = None
    model: str = "gpt-5.5"
    """One that Codex knows: any other has no tool for patches."""
    trust_repository: bool = False
    """Obey what the repository's own `.codex` folder says."""
    web_search: bool = False
    """Whether the model door lets its searches pass."""
    workspace: str = "/workspace"
    port: int = PORT
    """Of the loopback inside, where the model door is."""
    request_retries: int = 2
    stream_retries: int = 4
    """Each of them begins with `request_retries` of its own: about a minute in all."""


def configuration(options: CodexOptions, task: AgentTask, door: str = "") -> str:
    """`config.toml`. Its own sandbox is off: it cannot stand inside ours.

    Supervised, no command gets a terminal: what is written to it later is not asked about, so a shell that was allowed would run anything.
    """
    return f"""\
model = "{options.model}"
model_provider = "trunkline"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
web_search = "{"live" if options.web_search else "disabled"}"

[features]
unified_exec_tty = {"false" if task.supervised else "true"}

[analytics]
enabled = false

[feedback]
enabled = false

[model_providers.trunkline]
name = "trunkline"
base_url = "{door or f"http://127.0.0.1:{options.port}"}/v1"
wire_api = "responses"
env_key = "{KEY}"
request_max_retries = {options.request_retries}
stream_max_retries = {options.stream_retries}
stream_idle_timeout_ms = 1800000
supports_websockets = false

[shell_environment_policy]
inherit = "all"
exclude = ["{KEY}", "CODEX_*"]

[projects."{options.workspace}"]
trust_level = "{"trusted" if options.trust_repository else "untrusted"}"
"""


def beginning(task: AgentTask) -> tuple[str, Body]:
    """The method and the parameters that make the conversation, or find it again.

    `untrusted` asks about every command and every patch. No folder is named: it is that of the program.
    """
    policy = {"approvalPolicy": "untrusted" if task.supervised else "never", "sandbox": "danger-full-access"}
    if not task.session:
        return "thread/start", policy
    found = {**policy, "threadId": task.session, "excludeTurns": True}
    return ("thread/fork" if task.fork else "thread/resume"), found
