"""What an item of a Codex turn is on the timeline: a call when it starts, its result when it is completed."""

from __future__ import annotations

from posixpath import join, normpath

from trunkline.contracts.run import AgentOutput
from trunkline_sandbox.adapters.agents import spoken
from trunkline_sandbox.adapters.agents.jsonrpc import Body, items, mapping, string
from trunkline_sandbox.adapters.agents.shell_words import script
from trunkline_sandbox.adapters.agents.wording import argument, one_line
from trunkline_sandbox.ports import Line

SHELL = "exec_command"
PATCH = "apply_patch"
_QUIET = frozenset({"userMessage", "contextCompaction", "sleep", "hookPrompt"})
_BAD = frozenset({"failed", "declined"})


def started(line: Line, item: Body, workspace: str, parent: str | None) -> tuple[AgentOutput, ...]:
    """What is said when it begins; texts are told when they are whole."""
    match item.get("type"):
        case "commandExecution":
            command = script(string(item.get("command")))
            return (spoken.tool_call(line, _tool(item, SHELL, parent), {"command": command}, command),)
        case "fileChange":
            shown = ", ".join(paths(item.get("changes"), workspace))
            return (spoken.tool_call(line, _tool(item, PATCH, parent), {"changes": item.get("changes")}, shown),)
        case "mcpToolCall" | "dynamicToolCall":
            input = mapping(item.get("arguments"))
            return (spoken.tool_call(line, _tool(item, _named(item), parent), input, argument(input, workspace)),)
        case "webSearch":
            return (spoken.tool_call(line, _tool(item, "web_search", parent), {"query": item.get("query")}, string(item.get("query"))),)
        case "collabAgentToolCall":
            told = {"prompt": item.get("prompt")}
            return (spoken.tool_call(line, _tool(item, string(item.get("tool")), parent), told, string(item.get("prompt"))),)
        case _:
            return ()


def completed(line: Line, item: Body, parent: str | None) -> tuple[AgentOutput, ...]:
    match item.get("type"):
        case "agentMessage":
            text = string(item.get("text"))
            return (spoken.message(line, text),) if text else ()
        case "plan":
            return (spoken.message(line, string(item.get("text"))),)
        case "reasoning":
            text = "\n".join(string(part) for part in items(item.get("summary")) or items(item.get("content")))
            return (spoken.thinking(line, text),) if text else ()
        case "commandExecution":
            return (spoken.tool_result(line, _tool(item, None, parent), _output(item), is_error=_failed(item)),)
        case "fileChange" | "collabAgentToolCall" | "webSearch":
            return (spoken.tool_result(line, _tool(item, None, parent), string(item.get("status")) or "completed", is_error=_failed(item)),)
        case "mcpToolCall" | "dynamicToolCall":
            told = item.get("error") or item.get("result") or item.get("contentItems") or ""
            return (spoken.tool_result(line, _tool(item, None, parent), told, is_error=_failed(item)),)
        case str(kind) if kind in _QUIET:
            return ()
        case kind:
            return (spoken.raw(line, line.data.decode("utf-8", "replace"), display=f"an item of type {kind}"),)


def paths(changes: object, workspace: str) -> list[str]:
    """Every file that a patch touches, also where it moves one to; plain, and relative to `workspace` where they lie in it."""
    touched = []
    for change in map(mapping, items(changes)):
        touched += [string(change.get("path")), string(mapping(change.get("kind")).get("move_path"))]
    return list(dict.fromkeys(_relative(path, workspace) for path in touched if path))


def _relative(path: str, workspace: str) -> str:
    plain = normpath(join(workspace, path))
    return plain.removeprefix(workspace.rstrip("/") + "/") or plain


def _tool(item: Body, name: str | None, parent: str | None) -> spoken.Tool:
    return spoken.Tool(name, string(item.get("id")), parent)


def _named(item: Body) -> str:
    server = string(item.get("server")) or string(item.get("namespace"))
    return one_line(".".join(part for part in (server, string(item.get("tool"))) if part))


def _output(item: Body) -> str:
    text, code = string(item.get("aggregatedOutput")), item.get("exitCode")
    if item.get("status") == "declined":
        return "not run: it was declined"
    return text or (f"exit code {code}" if code is not None else string(item.get("status")))


def _failed(item: Body) -> bool:
    return string(item.get("status")) in _BAD or item.get("exitCode") not in (None, 0) or bool(item.get("error"))
