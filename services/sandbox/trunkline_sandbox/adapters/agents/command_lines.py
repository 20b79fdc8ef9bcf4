"""The documented form in which any program can say more than plain lines: one JSON object on a line."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

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


class SessionLine(_Form):
    """Under this name the program can go on with the conversation later."""

    type: Literal["session"]
    id: str = Field(min_length=1, max_length=200)


class HeardLine(_Form):
    """The program has read the message of this id."""

    type: Literal["heard"]
    id: str = Field(min_length=1, max_length=200)


class TurnOverLine(_Form):
    """The program did all it was told and waits for the next word."""

    type: Literal["turn_over"]
    summary: str = ""


class PermissionRequestLine(_Form):
    """The program wants to do this, and waits for a word about it. `id` is used once; `description` is its own words for people."""

    type: Literal["permission_request"]
    id: str = Field(min_length=1, max_length=200)
    tool: str = Field(min_length=1)
    input: JsonValue = {}
    description: str = ""


class PermissionDroppedLine(_Form):
    """The program does not want it any more."""

    type: Literal["permission_dropped"]
    id: str


CommandLine = ToolCallLine | ToolResultLine | ThinkingLine | MessageLine | UsageLine | ResultLine
TalkLine = SessionLine | HeardLine | TurnOverLine | PermissionRequestLine | PermissionDroppedLine

Form = TypeVar("Form")

_FORM: TypeAdapter[CommandLine] = TypeAdapter(Annotated[CommandLine, Field(discriminator="type")])
_TALK: TypeAdapter[TalkLine] = TypeAdapter(Annotated[TalkLine, Field(discriminator="type")])


def read_command_line(text: str) -> CommandLine | None:
    """The line in our form, or None: then it is text like any other."""
    return _read(_FORM, text)


def read_talk_line(text: str) -> TalkLine | None:
    """The line of a program that is spoken to, or None where it is not one of those that only such a program writes."""
    return _read(_TALK, text)


def _read(form: TypeAdapter[Form], text: str) -> Form | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        return form.validate_json(text)
    except (ValidationError, ValueError, RecursionError):
        return None
