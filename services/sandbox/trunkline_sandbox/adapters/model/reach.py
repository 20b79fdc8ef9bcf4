"""What a request would have the provider of a model do for the agent that the sandbox does not let it do itself: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.model.shapes import Purpose

SETTING: Final = "TRUNKLINE_MODEL_TOOLS_ALLOWED"
URL: Final = "url"
"""What content is called that the provider fetches from an address."""
_LONGEST: Final = 120
"""Characters of a name; no tool has a longer one."""
_HERE: Final = {
    True: re.compile(r"(?:custom|(?:bash|text_editor|computer|memory|tool_search_tool_(?:regex|bm25))(?:_\d{8})?)\Z"),
    False: re.compile(r"(?:function|custom|local_shell|apply_patch|computer|computer_use_preview|tool_search|namespace)\Z"),
}
"""Tools that whoever asked carries out, by whether it asked Anthropic's API. What is not known is taken to run elsewhere."""
_MEMBERS: Final = frozenset("mcp_servers container web_search_options plugins prompt conversation".split())
"""Members of a request that bring tools or content along without naming them in `tools`."""
_CONTENT: Final = ("messages", "input", "system")
_FETCHED: Final = frozenset("image_url file_url video_url audio_url".split())
_FREE_FORM: Final = frozenset("input_schema parameters schema arguments".split())
"""JSON of the tools' own: a name in it is not the API's."""
_NESTED: Final = (dict, list)
_SEARCHES: Final = re.compile(r"search-(?:preview|api)|deep-research|:online\b")


def refuse_reaching(purpose: Purpose, asked: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Raises Invalid MODEL_TOOL_REFUSED for the first thing that reaches beyond the sandbox and fits none of `allowed`."""
    for name in reached_by(purpose, asked):
        if not fits(name, allowed):
            raise Invalid(_told(name[:_LONGEST]), code="MODEL_TOOL_REFUSED")


def fits(name: str, allowed: Sequence[str]) -> bool:
    """Whether one of the patterns allows what is called so."""
    return len(name) <= _LONGEST and any(fnmatchcase(name, pattern) for pattern in allowed)


def reached_by(purpose: Purpose, asked: Mapping[str, Any]) -> Iterator[str]:
    """The name of everything by which the provider would reach a host, or run a program, for the agent."""
    anthropic = purpose in (Purpose.MESSAGES, Purpose.FREE)
    if _SEARCHES.search(model := str(asked.get("model") or "")):
        yield model
    for name, value in asked.items():
        if name in _MEMBERS and value not in (None, False, "", []):
            yield name
        elif name == "tools":
            yield from _tools(anthropic, value)
        elif name in _CONTENT and isinstance(value, _NESTED):
            yield from _inside(anthropic, value)


def _tools(anthropic: bool, tools: Any) -> Iterator[str]:
    for tool in tools if isinstance(tools, list) else [tools] if tools else []:
        members = {name.casefold(): value for name, value in tool.items()} if isinstance(tool, dict) else {}
        kind = members.get("type", "custom" if anthropic and members else None)
        if kind == "namespace":
            yield from _tools(anthropic, members.get("tools"))
        elif not _is_here(anthropic, kind, members):
            yield kind if isinstance(kind, str) and kind else "untyped"


def _is_here(anthropic: bool, kind: Any, members: Mapping[str, Any]) -> bool:
    if kind == "shell" and not anthropic:
        place = members.get("environment")
        return isinstance(place, dict) and place.get("type") == "local"
    return isinstance(kind, str) and bool(_HERE[anthropic].match(kind))


def _inside(anthropic: bool, content: Any) -> Iterator[str]:
    """What is nested in a conversation, however deep."""
    left = [content]
    while left:
        node = left.pop()
        if isinstance(node, list):
            left += [each for each in node if isinstance(each, _NESTED)]
        else:
            yield from _members(anthropic, node, left)


def _members(anthropic: bool, node: Mapping[str, Any], left: list[Any]) -> Iterator[str]:
    """What the members of one object reach; what must be looked at yet is added to `left`."""
    for written, value in node.items():
        if isinstance(value, _NESTED):
            name = written.casefold()
            if name in ("tools", "tool"):
                yield from _tools(anthropic, value)
            elif _is_fetched(name, value):
                yield URL
            elif name not in _FREE_FORM and not (name == "input" and str(node.get("type")).endswith("tool_use")):
                left.append(value)
        elif written[-3:].casefold() == "url" and _is_fetched(written.casefold(), value):
            yield URL


def _is_fetched(name: str, value: Any) -> bool:
    if name == "source" and isinstance(value, dict):
        return any(key.casefold() == "url" or (key.casefold() == "type" and value[key] == "url") for key in value)
    if name not in _FETCHED or not value:
        return False
    address = value.get("url") if isinstance(value, dict) else value
    return not (isinstance(address, str) and address.startswith("data:"))


def _told(name: str) -> str:
    what = "content by its address" if name == URL else f"`{name}`"
    why = "which would be carried out at the model's provider and could reach any host from there, though this sandbox reaches none"
    return f"this request holds {what}, {why}; leave it out, or have {name!r} allowed by {SETTING}"
