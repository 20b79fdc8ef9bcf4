"""How Claude Code is started: what is configured, and what the task wants of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trunkline_sandbox.model import AgentTask

_NOBODY_ANSWERS = ("AskUserQuestion", "EnterPlanMode", "ExitPlanMode")
"""Tools that are there only where somebody sits in front of it; a yes to one of them is no answer."""
_SEARCHING = "WebSearch"
"""Carried out at the provider of the model, so the model door refuses it."""
SEARCH = "web_search_20250305"
"""What that is called there."""


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
    web_search: bool = False
    """Whether the model door lets its searches pass."""
    workspace: str = "/workspace"


def arguments(options: ClaudeOptions, task: AgentTask, session: str) -> tuple[str, ...]:
    """The words behind the program's name; `session` is what a new conversation is called. Nothing of the prompt is in them."""
    stream = ("-p", "--output-format", "stream-json", "--input-format", "stream-json", "--verbose", "--replay-user-messages")
    model = ("--model", chosen) if (chosen := task.model or options.model) else ()
    turns = ("--max-turns", str(options.max_turns)) if options.max_turns else ()
    return (*stream, *_conversation(task, session), *_permissions(task), *_without(options, task), *_sources(options), *model, *turns)


def _conversation(task: AgentTask, session: str) -> tuple[str, ...]:
    if not task.session:
        return (f"--session-id={session}",)
    forked = ("--fork-session", f"--session-id={session}") if task.fork else ()
    return (f"--resume={task.session}", *forked)


def _permissions(task: AgentTask) -> tuple[str, ...]:
    """Who is not supervised is not asked: the sandbox is the wall, and a question costs a round trip."""
    if not task.supervised:
        return ("--permission-mode", "bypassPermissions")
    return ("--permission-mode", "default", "--permission-prompt-tool", "stdio")


def _without(options: ClaudeOptions, task: AgentTask) -> tuple[str, ...]:
    tools = (*(_NOBODY_ANSWERS if task.supervised else ()), *(() if options.web_search else (_SEARCHING,)))
    return (f"--disallowed-tools={','.join(tools)}",) if tools else ()


def _sources(options: ClaudeOptions) -> tuple[str, ...]:
    return ("--setting-sources", "user,project") if options.trust_repository else ("--setting-sources", "user", "--strict-mcp-config")
