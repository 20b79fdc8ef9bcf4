"""A tool call as people and rules judge it: its exact digest, and the rules that allow it, deny it or ask about it."""

from __future__ import annotations

import json
from enum import StrEnum
from hashlib import sha256

from pydantic import Field, JsonValue

from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Message


class Ruling(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"


class ToolRule(Message):
    """What becomes of the calls that it fits. In both patterns `*` stands for any text and `?` for one character."""

    tool: str = Field(default="*", min_length=1, max_length=200)
    argument: str = Field(default="*", min_length=1, max_length=2000)
    """Of the one argument that says most: the command, the path; else the whole input as canonical JSON."""
    then: Ruling
    reason: str = Field(default="", max_length=1000)
    """Told to the agent with a denial, and to people with a question."""


class Scope(StrEnum):
    ONCE = "once"
    RUN = "run"
    """Every call of this run that the rule fits."""


class Allowance(Message):
    """What a yes holds beyond yes; those who vote must mean the same."""

    scope: Scope = Scope.ONCE
    rule: ToolRule | None = None
    """With the scope `run`: which calls; None takes the tool and exactly this argument."""
    input: dict[str, JsonValue] | None = None
    """What is to run instead of what was asked."""
    usd: float | None = Field(default=None, gt=0, le=1_000_000)
    """How much more may be spent, where a budget was asked about."""
    answer: str | None = Field(default=None, min_length=1, max_length=64 << 10)
    """What is told to the agent, where it asked people for their input."""


def canonical(value: object) -> str:
    """JSON with sorted names and no space: one text for one value. Raises Invalid for what JSON cannot say."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        raise Invalid("the input of this call cannot be written as JSON", code="BAD_CALL") from None


def digest_of(value: object) -> str:
    """SHA-256 (hex) of the canonical form. A lone surrogate, which no file can hold, counts as the escape that it is."""
    return sha256(canonical(value).encode("utf-8", "backslashreplace")).hexdigest()


def call_digest(tool: str, input: object) -> str:
    """What an approval of one call is bound to."""
    return digest_of({"v": 1, "tool": tool, "input": input})
