"""The documented form in which any program can say more than plain lines: one JSON object on a line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from trunkline.contracts.run import Usage


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ToolCallLine(_Form):
    """The agent uses a tool. `display` is one line for people; without it, one is made of the input."""

    type: Literal["tool_call"]
    tool: str = Field(min_length=1)
    input: dict[str, JsonValue] = {}
    display: str | None = None
    id: str | None = None


class ToolResultLine(_Form):
    """What a tool gave back. `id` is that of the call."""

    type: Literal["tool_result"]
    tool: str | None = None
    output: JsonValue = ""
    is_error: bool = False
    id: str | None = None


class ThinkingLine(_Form):
    type: Literal["thinking"]
    text: str


class MessageLine(_Form):
    type: Literal["message"]
    text: str


class UsageLine(_Form):
    """Totals since the start; the last line counts."""

    type: Literal["usage"]
    model: str | None = None
    input_tokens: int | None = Field(default=None, ge=0, le=10**15)
    output_tokens: int | None = Field(default=None, ge=0, le=10**15)
    cost_usd: float | None = Field(default=None, ge=0)

    def usage(self) -> Usage:
        return Usage(**self.model_dump(exclude={"type"}))


class ResultLine(_Form):
    """How it went, said by the agent itself: `ok` false fails the run even when the program exits with 0."""

    type: Literal["result"]
    ok: bool
    summary: str = ""
    error: str = ""
    recoverable: bool = False
    """Whether trying again may end better."""


CommandLine = ToolCallLine | ToolResultLine | ThinkingLine | MessageLine | UsageLine | ResultLine

_FORM: TypeAdapter[CommandLine] = TypeAdapter(Annotated[CommandLine, Field(discriminator="type")])


def read_command_line(text: str) -> CommandLine | None:
    """The line in our form, or None: then it is text like any other."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return _FORM.validate_json(text)
    except (ValidationError, ValueError, RecursionError):
        return None
