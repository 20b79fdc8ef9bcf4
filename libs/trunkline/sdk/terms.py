"""What a caller may demand of its own task, and what a person may mean with a yes, as a program writes it."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class ToolRule(TypedDict):
    """Which of the agent's calls are asked about or denied. `*` stands for any text and `?` for one character."""

    tool: str
    argument: str
    then: Literal["ask", "deny"]
    reason: NotRequired[str]


class CallRule(TypedDict):
    """Which calls of a run are meant."""

    tool: str
    argument: str
