"""What this surface answers of dead letters, as models."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, JsonValue

from trunkline_gateway.dialects.orchestrator.answers import CLOSED


class Handled(BaseModel):
    """What somebody did about it last. Until it is `done` it is being carried out; a `problem` says why nothing came of it."""

    model_config = CLOSED

    state: Literal["requeued", "discarded"]
    by: str
    at: AwareDatetime
    requeued: int
    """How often, in all."""
    done: bool
    made: str | None
    """What came of it: the new task, the delivery, the place of the message; `taken` for a fact."""
    edited: list[str]
    reason: str | None
    problem: str | None


class Letter(BaseModel):
    """What was given up on."""

    model_config = CLOSED

    letter_id: str
    kind: Literal["task", "trigger", "webhook", "message"]
    state: Literal["open", "requeued", "discarded"]
    what: str
    code: str | None
    why: str
    tries: int
    at: AwareDatetime
    task_id: str | None
    editable: list[str]
    """The fields that an edit may name when it is requeued."""
    handled: Handled | None


class WholeLetter(Letter):
    """With what was to be worked on: the task as asked for, the event that was sent, the message."""

    body: JsonValue


class LetterList(BaseModel):
    """What was given up on last comes first.

    `total` is how many matched when the first page was read. Null: more than 1,000 letters, or some 5,000 deliveries that arrived,
    would have to be looked at one by one.
    """

    model_config = CLOSED

    success: Literal[True]
    count: int
    total: int | None
    letters: list[Letter]
    next_cursor: str | None


class LetterRead(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    letter: WholeLetter


class LetterDone(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    message: str
    letter: Letter


class Result(BaseModel):
    """What came of one of many; where it is not `requeued`, why."""

    model_config = CLOSED

    letter_id: str
    requeued: bool
    made: str | None
    code: str | None
    detail: str | None


class LettersDone(BaseModel):
    """`more`: there are others that match, ask again for those."""

    model_config = CLOSED

    success: Literal[True]
    message: str
    count: int
    failed: int
    more: bool
    results: list[Result]
